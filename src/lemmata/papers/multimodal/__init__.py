"""Multi-modal against single-modal contrastive learning: Huang et al. 2024, arXiv 2411.02837."""

from lemmata.lab import Entry, Paper, Sentence

PAPER = Paper(
    "Huang, Han, Chen, Cao, Xu, Suzuki 2024",
    "On the Comparison between Multi-modal and Single-modal Contrastive Learning",
    "2411.02837",
)
EXPERIMENTS = {
    "multimodal-curves": Entry(
        "curves",
        "With a second modality contrastive learning learns the signal; with one it memorises the noise.",
        smoke=3,
        laptop=60,
        paper=900,
    ),
    "multimodal-figure-1": Entry(
        "figure_1",
        "The paper's Figure 1 at its own sizes: loss, accuracy under shift, signal and noise over 200 steps.",
        smoke=3,
        laptop=15,
        paper=120,
    ),
    "multimodal-theorems": Entry(
        "theorems",
        "Both theorems where they are stated, d far above n²: who learns what, how fast, and what a head can read.",
        smoke=3,
        laptop=30,
        paper=900,
    ),
    "multimodal-map": Entry(
        "map",
        "Over n·SNR² and C: two modalities learn signal where one learns noise, if the second one's SNR is larger.",
        smoke=3,
        laptop=45,
        paper=1800,
    ),
    "multimodal-coloured-digits": Entry(
        "coloured_digits",
        "Features learnt with captions survive a shift of the colours, features of augmented pictures do not.",
        smoke=4,
        laptop=120,
        paper=3000,
    ),
}
ABSTRACT = (
    Sentence(
        "both kinds of contrast drive the training loss down",
        (
            "multimodal-figure-1/losses-fall",
            "multimodal-theorems/both-fit",
            "multimodal-curves/both-fit",
        ),
        "it fails with all others as negatives, which are not the paper's",
    ),
    Sentence(
        "one modality memorises noise",
        ("multimodal-theorems/single-memorises",),
    ),
    Sentence(
        "two modalities of which the second has the larger signal-to-noise ratio learn the signal",
        (
            "multimodal-theorems/multi-learns",
            "multimodal-map/multi-threshold",
        ),
    ),
    Sentence(
        "so that one fails downstream and the other generalises",
        (
            "multimodal-map/cooperates",
            "multimodal-curves/downstream",
            "multimodal-theorems/multi-error",
        ),
        "not at the theorems' own test signal, which no head can read",
    ),
    Sentence(
        "the gain comes from the cooperation of the modalities",
        (
            "multimodal-map/gap-needs-ratio",
            "multimodal-map/weak-second-harms",
        ),
    ),
    Sentence(
        "experiments on synthetic and on real data agree",
        ("multimodal-figure-1/single-at-chance",),
        "Table 1 is not found on scikit-learn's digits",
    ),
)
"""What the abstract says, sentence by sentence, in our words."""
