"""Feature learning in denoisers against classifiers: Han, Huang, Cao, Zou 2024, arXiv 2412.01021."""
