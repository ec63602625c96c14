"""SimCLR pre-training of two-layer CNNs: Zhang, Cao 2024, arXiv 2409.18685 (PMLR 300:4825-4833)."""

from lemmata.lab import Entry, Paper

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
    "simclr-digits": Entry(
        "digits",
        "Handwritten digits beside noise: pre-training saves labels where direct training memorises the noise.",
        smoke=4,
        laptop=60,
        paper=5300,
    ),
}
