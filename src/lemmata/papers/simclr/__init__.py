"""SimCLR pre-training of two-layer CNNs: Zhang, Cao 2024, arXiv 2409.18685."""
