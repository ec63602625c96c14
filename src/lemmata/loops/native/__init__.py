"""Code in C for loops over networks too small for one PyTorch operation at a time."""
