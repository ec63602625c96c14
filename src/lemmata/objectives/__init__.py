"""What is minimised: one pure function of inner products per file."""
