"""Parameter-free adaptive gradient methods: Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444."""

from lemmata.lab import Entry, Paper, Sentence

PAPER = Paper(
    "Tao, Yuan, Zhou, Cao, Gu 2024",
    "Towards Simple and Provable Parameter-Free Adaptive Gradient Methods",
    "2412.19444",
)
EXPERIMENTS = {
    "parameter-free-convex": Entry(
        "convex",
        "The first scale of AdaGrad++ and Adam++ hardly matters; the learning rates of Adam and AdaGrad do.",
        smoke=3,
        laptop=180,
        paper=5000,
    ),
    "parameter-free-rates": Entry(
        "rates",
        "Rates in T of AdaGrad++ and Adam++ beside AdaGrad and Adam at their best learning rate and one step off it.",
        smoke=3,
        laptop=150,
        paper=20000,
    ),
    "parameter-free-scale": Entry(
        "scale",
        "Features in other units: one first scale does for four decades, a learning rate does not.",
        smoke=2,
        laptop=30,
        paper=1500,
    ),
    "parameter-free-networks": Entry(
        "networks",
        "A CNN and a transformer on digits: any first scale trains, few learning rates of Adam do.",
        smoke=3,
        laptop=300,
        paper=7000,
    ),
    "parameter-free-cifar": Entry(  # paper: estimated for one GPU, as for the next
        "cifar",
        "CIFAR-10 with ResNet-18, ResNet-50, VGG-16: Adam++ as it comes against tuned Adam; takes --data.",
        smoke=5,
        laptop=1500,
        paper=600000,
    ),
    "parameter-free-gpt2": Entry(
        "gpt2",
        "GPT-2 small and medium on OpenWebText: AdamW++ as it comes against tuned AdamW; takes --data.",
        smoke=5,
        laptop=600,
        paper=2400000,
    ),
}
ABSTRACT = (
    Sentence(
        "AdaGrad++ and Adam++ converge without conditions on learning rates",
        (
            "parameter-free-rates/root-of-t",
            "parameter-free-convex/any-first-scale",
        ),
        "the theorems are conditional on bounded iterates",
    ),
    Sentence(
        "AdaGrad++ matches the rate of AdaGrad on convex problems",
        ("parameter-free-rates/adagrad-rate",),
    ),
    Sentence(
        "Adam++ matches the rate of Adam",
        ("parameter-free-rates/adam-rate",),
    ),
    Sentence(
        "no learning rate needs to be tuned",
        (
            "parameter-free-convex/flatter-than-learning-rates",
            "parameter-free-rates/one-step-off",
            "parameter-free-networks/any-first-scale",
        ),
    ),
    Sentence(
        "on deep-learning tasks Adam++ does as well as tuned Adam",
        (
            "parameter-free-networks/matches-tuned-adam",
            "parameter-free-networks/matches-on-cosine",
        ),
        "small networks on digits; CIFAR-10 and GPT-2 need data and GPUs that were not at hand",
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
