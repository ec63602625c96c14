"""Transformers as measures over particles: Gao, Cao, Li, He, Wang, Liu, Klusowski, Fan 2024, arXiv 2410.23610."""

from lemmata.lab import Entry, Paper, Sentence

PAPER = Paper(
    "Gao, Cao, Li, He, Wang, Liu, Klusowski, Fan 2024",
    "Global Convergence in Training Large-Scale Transformers",
    "2410.23610",
)
EXPERIMENTS = {
    "mean-field-depth": Entry(
        "depth", "A Transformer of L layers is 1/L from its limit in depth, all along training.",
        smoke=1, laptop=15, paper=600,
    ),
    "mean-field-width": Entry(
        "width", "M particles a layer are 1/√M from their limit, while every particle moves by as much.",
        smoke=1, laptop=30, paper=3000,
    ),
    "mean-field-bound": Entry(
        "bound", "One constant bounds the distance to the limit over all depths and widths.",
        smoke=1, laptop=30, paper=2000,
    ),
    "mean-field-start": Entry(
        "start", "At the start depth averages too, unless layers share their draws.", smoke=1, laptop=10, paper=200
    ),
    "mean-field-decay": Entry(
        "decay", "The risk a flow ends at vanishes with the weight decay, faster than its bound.",
        smoke=1, laptop=60, paper=3000,
    ),
    "mean-field-threshold": Entry(
        "threshold", "Labels of pure noise are fitted once there are enough particles.", smoke=1, laptop=40, paper=600
    ),
    "mean-field-grid": Entry(
        "grid", "The risk after training over width and depth at a small decay.", smoke=1, laptop=30, paper=600
    ),
    "mean-field-baselines": Entry(
        "baselines", "Lazy and standard weights, attention alone, neurons alone: who moves, and who has a limit.",
        smoke=1, laptop=30, paper=600,
    ),
    "mean-field-step": Entry(
        "step", "The best step of the flow does not depend on width or depth; with standard weights it does.",
        smoke=1, laptop=60, paper=3000,
    ),
    "mean-field-images": Entry(
        "images", "More heads and more layers train better on digits; with --data the paper's own run on CIFAR-10.",
        smoke=3, laptop=120, paper=400_000,
    ),
    "mean-field-particles": Entry(
        "particles", "The particles themselves along training, over depth, and what they learn.",
        smoke=1, laptop=15, paper=600,
    ),
    "mean-field-clouds": Entry(
        "clouds", "Which distances between clouds of particles see their measures converge.",
        smoke=1, laptop=15, paper=300,
    ),
}  # fmt: skip
ABSTRACT = (
    Sentence(
        "as width and depth grow, gradient flow with weight decay converges to a flow of measures",
        (
            "mean-field-depth/outputs-like-one-over-depth",
            "mean-field-width/outputs-like-root-of-width",
            "mean-field-bound/outputs-are-bounded",
        ),
    ),
    Sentence(
        "for small weight decay the flow reaches a global minimum of the loss",
        ("mean-field-decay/risk-vanishes-with-decay", "mean-field-decay/without-decay-zero-risk"),
    ),
    Sentence(
        "partial homogeneity and local Lipschitz smoothness are enough",
        because="it says what a proof needs; particles without it are tried on this page, and no claim is made of them",
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
