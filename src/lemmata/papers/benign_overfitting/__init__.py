"""Benign overfitting with both layers trained: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139."""

from lemmata.lab import Entry, Paper

PAPER = Paper(
    "Shang, Meng, Cao, Zou 2024",
    "Initialization Matters: On the Benign Overfitting of Two-Layer ReLU CNN with Fully Trainable Layers",
    "2410.19139",
)
EXPERIMENTS = {
    "benign-overfitting": Entry(
        "phase_diagram",
        "Test error over sample size and signal strength falls where κ = n‖μ‖⁴/(σp⁴d) passes one.",
        smoke=2,
        laptop=20,
        paper=40000,
    ),
    "benign-overfitting-dynamics": Entry(
        "dynamics",
        "A large output layer stays where it was; from a small start both layers grow and keep their ratio.",
        smoke=2,
        laptop=5,
        paper=30,
    ),
    "benign-overfitting-init": Entry(
        "init",
        "Test error over both initialisation scales: a loud start harms, a small output layer forgets its scale.",
        smoke=1,
        laptop=15,
        paper=400,
    ),
    "benign-overfitting-fixed": Entry(
        "fixed",
        "Training both layers is as training with the output fixed from a large output layer, not from a small one.",
        smoke=1,
        laptop=10,
        paper=200,
    ),
    "benign-overfitting-conditions": Entry(
        "conditions",
        "Where the output layer begins to grow and where a start becomes harmful, over n and d.",
        smoke=1,
        laptop=60,
        paper=4000,
    ),
    "benign-overfitting-dimension": Entry(
        "dimension",
        "At fixed κ the test error hardly changes from d = 10³ to d = 10⁹, at the same cost.",
        smoke=1,
        laptop=8,
        paper=500,
    ),
    "benign-overfitting-digits": Entry(
        "digits",
        "Handwritten digits beside Gaussian noise: generalisation is lost at a noise level that grows with n.",
        smoke=3,
        laptop=40,
        paper=2400,
    ),
}
