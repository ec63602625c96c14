"""Fast adversarial training guided by self-knowledge (SKG-FAT): Jiang et al. 2024, arXiv 2409.17589."""

from lemmata.lab import Entry, Paper, Sentence

PAPER = Paper(
    "Jiang, Wang, Dong, Gui, Shi, Cao, Tang, Kwok 2024",
    "Improving Fast Adversarial Training via Self-Knowledge Guidance",
    "2409.17589",
)
EXPERIMENTS = {
    "fast-adversarial-digits": Entry(
        "digits",
        "Single-step adversarial training on digits, seven ways and two radii: what each part of SKG-FAT is worth.",
        smoke=3,
        laptop=1100,
        paper=14000,
    ),
    "fast-adversarial-collapse": Entry(
        "collapse",
        "Catastrophic overfitting and the constant network, and the monitor that tells of both.",
        smoke=3,
        laptop=350,
        paper=2400,
    ),
    "fast-adversarial-alignment": Entry(
        "alignment",
        "Clean against robust accuracy of every class along training: the disparity, and what each part changes.",
        smoke=3,
        laptop=400,
        paper=2700,
    ),
    "fast-adversarial-cifar": Entry(
        "cifar",
        "CIFAR-10, CIFAR-100, Tiny-ImageNet and ImageNet-100 from files of your own, by two protocols.",
        smoke=5,
        laptop=600,
        paper=600000,
    ),
}
ABSTRACT = (
    Sentence(
        "uniform fast adversarial training leaves an obvious disparity between classes",
        ("fast-adversarial-alignment/classes-are-unequal",),
    ),
    Sentence(
        "robust and clean accuracy of the classes are misaligned",
        ("fast-adversarial-alignment/classes-are-misaligned",),
    ),
    Sentence(
        "regularisation guided by class narrows the disparity",
        (
            "fast-adversarial-alignment/regularisation-narrows",
            "fast-adversarial-digits/better-than-a-plain-regulariser",
        ),
    ),
    Sentence(
        "label relaxation guided by class mends the misalignment",
        ("fast-adversarial-alignment/relaxation-aligns",),
    ),
    Sentence(
        "both together resist better than earlier fast training, at its cost",
        (
            "fast-adversarial-digits/released-is-better-under-pgd",
            "fast-adversarial-alignment/all-narrow",
            "fast-adversarial-digits/cheaper-than-pgd-at",
        ),
        "with labels of 0.9 and λ = 0.3 the first holds: see the table of methods",
    ),
    Sentence(
        "on four sets of natural images",
        because="the sets and a card are needed; fast-adversarial-cifar has the settings",
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
