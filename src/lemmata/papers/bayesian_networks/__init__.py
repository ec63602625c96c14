"""Transformers simulate maximum likelihood for Bayesian networks in context: Cao et al. 2025, arXiv 2501.02547."""

from lemmata.lab import Entry, Paper

PAPER = Paper(
    "Cao, He, Wu, Chen, Fan, Liu 2025",
    "Transformers Simulate MLE for Sequence Generation in Bayesian Networks",
    "2501.02547",
)
EXPERIMENTS = {
    "bayes-net-construction": Entry(
        "accuracy",
        "Weights written down from the theorem answer with the in-context MLE, up to an error of e^(−λ).",
        smoke=1,
        laptop=40,
        paper=3000,
    ),
    "bayes-net-training": Entry(
        "training",
        "Trained on one length of context it answers as the MLE or the posterior mean, on other lengths too.",
        smoke=2,
        laptop=150,
        paper=4000000,
    ),
    "bayes-net-attention": Entry(
        "attention",
        "Where a trained query looks beside the constructed one's, and which samples its answer needs.",
        smoke=2,
        laptop=70,
        paper=1500000,
    ),
    "bayes-net-generation": Entry(
        "generation",
        "Sequences generated variable by variable have the law of the MLE network, up to M times the error of a step.",
        smoke=1,
        laptop=15,
        paper=2000,
    ),
}
