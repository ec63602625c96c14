"""One-layer softmax attention learns one-nearest-neighbour in context: Li et al. 2024, arXiv 2411.10830."""

from lemmata.lab import Entry, Paper, Sentence

PAPER = Paper(
    "Li, Cao, Gao, He, Liu, Klusowski, Fan, Wang 2024",
    "One-Layer Transformer Provably Learns One-Nearest Neighbor In Context",
    "2411.10830",
)
EXPERIMENTS = {
    "nearest-neighbour": Entry(
        "training",
        "One attention head trained on random labels becomes 1-NN, slower for more points and dimensions.",
        smoke=3,
        laptop=90,
        paper=400000,
    ),
    "nearest-neighbour-landscape": Entry(
        "landscape",
        "The loss over its two parameters is far from convex, and yet leads to one end.",
        smoke=1,
        laptop=3,
        paper=60,
    ),
    "nearest-neighbour-sizes": Entry(
        "sizes",
        "Exact descent for many prompt lengths and dimensions: the loss falls as c(n, d)/ξ1, with ξ1 ~ k^(1/3).",
        smoke=2,
        laptop=25,
        paper=600,
    ),
    "nearest-neighbour-decades": Entry(
        "decades",
        "Ten decades of time: two published statements on how ξ1 and ξ2 grow, put to the machine.",
        smoke=2,
        laptop=20,
        paper=120,
    ),
    "nearest-neighbour-steps": Entry(
        "steps",
        "Which step sizes keep the matrix in its two-parameter family; which start it takes does not matter.",
        smoke=2,
        laptop=50,
        paper=600,
    ),
    "nearest-neighbour-shifts": Entry(
        "shifts",
        "Other laws of points at test: harmless but where lengths differ, and that is repaired by a norm in the token.",
        smoke=3,
        laptop=60,
        paper=2000,
    ),
    "nearest-neighbour-digits": Entry(
        "digits",
        "Trained on random points, tested on handwritten digits: it says what scikit-learn's 1-NN says.",
        smoke=3,
        laptop=50,
        paper=600,
    ),
    "nearest-neighbour-sphere": Entry(
        "sphere",
        "Pictures on the sphere: the decision regions of 1-NN and of the trained head, and where it looks.",
        smoke=3,
        laptop=20,
        paper=120,
    ),
}
ABSTRACT = (
    Sentence(
        "a single attention layer can learn to answer as the one-nearest neighbour",
        (
            "nearest-neighbour/is-nearest-neighbour-under-shift",
            "nearest-neighbour-digits/answers-as-scikit-learn",
        ),
    ),
    Sentence(
        "by gradient descent, although its loss is not convex",
        (
            "nearest-neighbour-landscape/nonconvex",
            "nearest-neighbour/loss-falls",
        ),
    ),
    Sentence(
        "and keeps doing so when the distribution of prompts shifts",
        (
            "nearest-neighbour/shifted-error-falls-faster",
            "nearest-neighbour-shifts/unit-shifts-do-no-harm",
        ),
        "of points on the sphere; lengths make it fail",
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
