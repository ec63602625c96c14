"""Feature learning in denoisers against classifiers: Han, Huang, Cao, Zou 2024, arXiv 2412.01021."""

from lemmata.lab import Entry, Paper, Sentence

PAPER = Paper("Han, Huang, Cao, Zou 2024", "On the Feature Learning in Diffusion Models", "2412.01021")
EXPERIMENTS = {
    "diffusion-vs-classification": Entry(
        "vs_classification",
        "Over n·SNR² a classifier's ratio of signal to noise moves by four decades, a denoiser's hardly.",
        smoke=3,
        laptop=15,
        paper=900,
    ),
    "diffusion-dynamics": Entry(
        "dynamics",
        "A denoiser learns signal and noise together, a classifier only the faster of them.",
        smoke=3,
        laptop=12,
        paper=60,
    ),
    "diffusion-map": Entry(
        "map",
        "Over sample size and SNR a classifier has a border near n·SNR² = 2, a denoiser has none.",
        smoke=5,
        laptop=30,
        paper=3600,
    ),
    "diffusion-noises": Entry(
        "noises",
        "A few fresh noises per step lead a denoiser where the expectation over the noise leads it.",
        smoke=4,
        laptop=40,
        paper=3600,
    ),
    "diffusion-digits": Entry(
        "digits",
        "On real digits beside Gaussian noise a classifier passes from noise to signal, a denoiser learns both.",
        smoke=5,
        laptop=25,
        paper=900,
    ),
}
ABSTRACT = (
    Sentence(
        "a denoiser learns signal and noise, balanced",
        (
            "diffusion-dynamics/denoiser-learns-both",
            "diffusion-vs-classification/denoiser-learns-both",
        ),
    ),
    Sentence(
        "at stationary points whose ratio of signal to noise is Θ(n·SNR²)",
        (
            "diffusion-map/denoiser-has-no-border",
            "diffusion-vs-classification/stationary-ratio",
        ),
        "an order where n·SNR² ≲ 1, no proportionality across decades: the ratio saturates",
    ),
    Sentence(
        "a denoiser's signal grows linearly at first, a classifier's exponentially",
        ("diffusion-dynamics/linear-against-exponential",),
        "true of the mean over neurons at n·SNR² = 6.75; the claim tests the largest neuron, which the paper shows",
    ),
    Sentence(
        "a classifier learns only the easier of signal and noise",
        (
            "diffusion-dynamics/classifier-learns-one",
            "diffusion-map/border-is-the-race",
        ),
    ),
    Sentence(
        "both are seen on synthetic and on real images",
        (
            "diffusion-digits/denoiser-learns-both",
            "diffusion-digits/classifier-passes",
        ),
        "scikit-learn's digits in place of MNIST",
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
