"""The theorem tester: a conjecture in, a verdict with an honest interval out."""
