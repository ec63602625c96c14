"""Multi-modal against single-modal contrastive learning: Huang et al. 2024, arXiv 2411.02837."""

from lemmata.lab import Entry, Paper

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
