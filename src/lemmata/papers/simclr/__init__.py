"""SimCLR pre-training of two-layer CNNs: Zhang, Cao 2024, arXiv 2409.18685 (PMLR 300:4825-4833)."""

from lemmata.lab import Entry, Paper, Sentence

PAPER = Paper(
    "Zhang, Cao 2024",
    "Understanding the Benefits of SimCLR Pre-Training in Two-Layer Convolutional Neural Networks",
    "2409.18685",
)
EXPERIMENTS = {
    "simclr-labels": Entry(
        "labels",
        "With SimCLR pre-training a few labels do where direct training memorises noise with any number of them.",
        smoke=3,
        laptop=70,
        paper=6000,
    ),
    "simclr-direct-threshold": Entry(
        "direct_threshold",
        "Without pre-training the labels needed grow as SNR^(−q): the threshold that pre-training is compared with.",
        smoke=3,
        laptop=45,
        paper=10500,
    ),
    "simclr-unlabelled": Entry(
        "unlabelled",
        "Alignment of pre-trained filters against the number of unlabelled pairs, predicted without fitted constant.",
        smoke=3,
        laptop=45,
        paper=10000,
    ),
    "simclr-when-to-stop": Entry(
        "when_to_stop",
        "Alignment, memorisation and test loss against how far pre-training went: early stopping aligns best.",
        smoke=3,
        laptop=60,
        paper=3900,
    ),
    "simclr-regime": Entry(
        "regime",
        "In dimension n0⁴, where the theorem speaks, few labels do at every SNR.",
        smoke=3,
        laptop=60,
        paper=9000,
    ),
    "simclr-residual": Entry(
        "residual",
        "One step of pre-training is a step of the power method, up to a residual of order σ0.",
        smoke=2,
        laptop=40,
        paper=2000,
    ),
    "simclr-any-start": Entry(
        "any_start",
        "Fine-tuning from filters made by hand, with the coefficients of pre-training, beside pre-trained ones.",
        smoke=3,
        laptop=60,
        paper=9000,
    ),
    "simclr-digits": Entry(
        "digits",
        "Handwritten digits beside noise: pre-training saves labels where direct training memorises the noise.",
        smoke=4,
        laptop=60,
        paper=5300,
    ),
}
ABSTRACT = (
    Sentence(
        "SimCLR pre-training is a matrix power method that aligns filters with the signal",
        (
            "simclr-unlabelled/alignment-predicted",
            "simclr-residual/residual-is-small",
        ),
    ),
    Sentence(
        "enough unlabelled pairs, n₀·SNR² of order one, are needed",
        ("simclr-unlabelled/pairs-decide",),
    ),
    Sentence(
        "then a number of labels without SNR in it gives an almost optimal test loss",
        (
            "simclr-regime/labels-do-not-grow",
            "simclr-regime/loss-is-bounded",
            "simclr-labels/pretrained-succeeds",
        ),
    ),
    Sentence(
        "direct supervised training needs n·SNR^q of order one: far more labels",
        (
            "simclr-direct-threshold/load-decides",
            "simclr-labels/direct-fails",
        ),
        "both thresholds are not yet on one grid, so that their ratio is predicted and not measured",
    ),
    Sentence(
        "fine-tuning from any start with the right coefficients does as well",
        ("simclr-any-start/made-does-as-well",),
    ),
    Sentence(
        "experiments on real images agree",
        ("simclr-digits/halves-the-error",),
        "scikit-learn's digits in place of MNIST",
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
