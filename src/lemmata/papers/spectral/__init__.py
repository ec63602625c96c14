"""Transformers that do principal components and clustering: He et al. 2025, arXiv 2501.01312."""

from lemmata.lab import Entry, Paper

PAPER = Paper(
    "He, Cao, Chen, Wu, Fan, Liu 2025",
    "Learning Spectral Methods by Transformers",
    "2501.01312",
)
EXPERIMENTS = {
    "spectral-power": Entry(
        "power",
        "A network with written weights is power iteration: its angle to the eigenvectors falls as (λ2/λ1)^τ.",
        smoke=2,
        laptop=20,
        paper=200,
    ),
    "spectral-layers": Entry(
        "layers",
        "Layer by layer: the iterate turns to one eigenvector after the other, and the points lose it.",
        smoke=1,
        laptop=2,
        paper=10,
    ),
    "spectral-normaliser": Entry(
        "normaliser",
        "Length one by ReLU attention alone: a few polishing rounds make eigenvalues exact.",
        smoke=2,
        laptop=15,
        paper=120,
    ),
    "spectral-clusters": Entry(
        "clusters",
        "A network with written weights clusters as the exact eigenvector does, near the best possible.",
        smoke=3,
        laptop=40,
        paper=300,
    ),
    "spectral-training": Entry(
        "training",
        "The same kind of network, trained: how near it comes to power iteration of equal depth.",
        smoke=3,
        laptop=180,
        paper=400000,
    ),
    "spectral-signs": Entry(
        "signs",
        "A loss that asks for the sign of an eigenvector learns the line and misses the sign.",
        smoke=3,
        laptop=70,
        paper=200000,
    ),
    "spectral-depth": Entry(
        "depth",
        "More dimensions are harder and more layers help, as for power iteration.",
        smoke=3,
        laptop=150,
        paper=400000,
    ),
    "spectral-eigenvalues": Entry(
        "eigenvalues",
        "Trained on eigenvalues: the largest is learnt best.",
        smoke=2,
        laptop=60,
        paper=100000,
    ),
    "spectral-mixtures": Entry(
        "mixtures",
        "Trained to cluster without a name for the clusters: as good as the side of the first axis.",
        smoke=2,
        laptop=80,
        paper=100000,
    ),
    "spectral-digits": Entry(
        "digits",
        "Blocks of handwritten digits: trained on some classes, tested on others.",
        smoke=3,
        laptop=80,
        paper=100000,
    ),
}
