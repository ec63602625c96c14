"""Benign overfitting with both layers trained: Shang, Meng, Cao, Zou 2024, arXiv 2410.19139."""

from lemmata.lab import Entry, Paper, Sentence

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
ABSTRACT = (
    Sentence(
        "with a large output layer at the start it stays almost constant while the hidden layer learns",
        ("benign-overfitting-dynamics/large-output-stays",),
    ),
    Sentence(
        "training is then similar to that with the output layer fixed",
        ("benign-overfitting-fixed/large-is-as-fixed",),
    ),
    Sentence(
        "with a small one the hidden layer first grows to a specific ratio relative to the output layer",
        (
            "benign-overfitting-dynamics/hidden-grows-first",
            "benign-overfitting-dynamics/output-grows-first",
        ),
        "it does where σ₀√d < v₀; where the filters start above, as at σ₀ = 1e-3, the output layer grows first",
    ),
    Sentence(
        "then both layers grow together and keep that ratio",
        ("benign-overfitting-dynamics/small-start-keeps-ratio",),
    ),
    Sentence(
        "networks that fit their training data, noise included, can generalise: upper bounds on the test error",
        (
            "benign-overfitting/fits-training-data",
            "benign-overfitting/exponential-bound",
            "benign-overfitting/kappa-decides",
        ),
    ),
    Sentence(
        "nearly matching lower bounds, and a constant on the harmful side",
        (
            "benign-overfitting/lower-bound",
            "benign-overfitting/harmful-side",
        ),
    ),
    Sentence(
        "sharp conditions on the initialisation scaling and the signal-to-noise ratio",
        (
            "benign-overfitting-conditions/output-limit",
            "benign-overfitting-conditions/filter-limit",
            "benign-overfitting-init/loud-start-harms",
        ),
        "constants and exponents are ours: the paper's are not public",
    ),
    Sentence(
        "experiments on synthetic and on real data agree",
        ("benign-overfitting-digits/transition-moves-with-n",),
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
