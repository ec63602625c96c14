"""Fast adversarial training guided by self-knowledge (SKG-FAT): Jiang et al. 2024, arXiv 2409.17589."""

from lemmata.lab import Entry, Paper

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
