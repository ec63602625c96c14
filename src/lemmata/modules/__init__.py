"""Networks of torch that autograd trains."""
