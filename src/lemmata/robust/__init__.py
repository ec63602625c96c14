"""Adversarial training for any loop: SKG-FAT and its peers, attacks, evaluation, a monitor; torch alone.

method = SelfKnowledge(num_classes=10, eps=8 / 255, lam=0.3)
loss = method.loss(model, x, y).loss            # in your loop; then backward, optimiser and schedule as ever
method.epoch_end()                              # once an epoch
print(evaluate_robust(model, loader, eps=8 / 255).to_markdown())
"""

from lemmata.robust.attacks.apgd import apgd
from lemmata.robust.attacks.fgsm import fgsm
from lemmata.robust.attacks.pgd import pgd
from lemmata.robust.evaluation.evaluate import evaluate_robust
from lemmata.robust.evaluation.report import RobustReport
from lemmata.robust.labels import relaxed_cross_entropy, relaxed_labels
from lemmata.robust.methods.class_stats import ClassStats
from lemmata.robust.methods.fgsm_mep import FGSMMEP
from lemmata.robust.methods.fgsm_pgi import FGSMPGI
from lemmata.robust.methods.fgsm_rs import FGSMRS
from lemmata.robust.methods.method import AdvStep, Method
from lemmata.robust.methods.n_fgsm import NFGSM
from lemmata.robust.methods.pgd_at import PGDAT
from lemmata.robust.methods.self_knowledge import SelfKnowledge
from lemmata.robust.methods.tdat import TDAT
from lemmata.robust.methods.trades import TRADES
from lemmata.robust.monitor import CollapseWarning, Monitor
from lemmata.robust.normalized import NormalizedModel

__all__ = [
    "FGSMMEP",
    "FGSMPGI",
    "FGSMRS",
    "NFGSM",
    "PGDAT",
    "TDAT",
    "TRADES",
    "AdvStep",
    "ClassStats",
    "CollapseWarning",
    "Method",
    "Monitor",
    "NormalizedModel",
    "RobustReport",
    "SelfKnowledge",
    "apgd",
    "evaluate_robust",
    "fgsm",
    "pgd",
    "relaxed_cross_entropy",
    "relaxed_labels",
]
