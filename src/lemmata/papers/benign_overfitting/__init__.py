"""Benign overfitting with both layers trained: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139."""
