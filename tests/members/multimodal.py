"""Members of the engines' laws: contrastive learning of one and of two modalities."""

import lemmata as lm
from lemmata.data.paired import PairedSignalNoise
from lemmata.nets.patch_encoder import PatchEncoder
from lemmata.objectives.info_nce import InfoNCE

_SINGLE = PairedSignalNoise(n=8, d=60, signal=2.0)
_MULTI = PairedSignalNoise(n=8, d=60, signal=2.0, modality="multi", signal_ratio=2.0, d2=90, sigma_p2=0.8)
_ALL = PairedSignalNoise(n=7, d=60, signal=2.0, negatives="all", noise="isotropic")
_ALL_MULTI = PairedSignalNoise(n=7, d=60, signal=2.0, modality="multi", negatives="all", negatives_count=3)
_NET = PatchEncoder(5, init=0.1)


def _run(data, objective=InfoNCE(), rule=lm.GD(0.02), net=_NET):  # noqa: B008
    return lm.Run(data, net, objective, rule)


MEMBERS: dict[str, lm.Run] = {
    "single-modal": _run(_SINGLE),
    "single-modal, all negatives": _run(_ALL, InfoNCE(tau=0.7)),
    "single-modal, fresh augmentation": _run(_SINGLE, InfoNCE(augmentation="fresh")),
    "single-modal, keys trained": _run(_SINGLE, InfoNCE(stop_gradient=False)),
    "single-modal, cosine": _run(_SINGLE, InfoNCE(normalise=True), lm.GD(0.001)),
    "single-modal, batches": _run(_ALL, rule=lm.GD(0.02, batch_size=4)),
    "single-modal, decay, momentum": _run(_SINGLE, rule=lm.GD(0.01, weight_decay=0.02, momentum=0.5)),
    "single-modal, softplus": _run(_SINGLE, net=PatchEncoder(5, init=0.1, activation=lm.Softplus())),
    "single-modal, summed": _run(_SINGLE, InfoNCE(similarity="summed")),
    "single-modal, divided by m": _run(_SINGLE, InfoNCE(tau=0.2, divide_by_m=True), lm.GD(0.01)),
    "single-modal, fresh augmentation, summed": _run(_SINGLE, InfoNCE(augmentation="fresh", similarity="summed")),
    "multi-modal": _run(_MULTI),
    "multi-modal, summed": _run(_MULTI, InfoNCE(similarity="summed")),
    "multi-modal, batches, all negatives": _run(_ALL_MULTI, rule=lm.GD(0.02, batch_size=4)),
    "multi-modal, some of all negatives": _run(_ALL_MULTI, InfoNCE(tau=0.7)),
    "multi-modal, keys trained": _run(_MULTI, InfoNCE(stop_gradient=False)),
    "multi-modal, cosine": _run(_MULTI, InfoNCE(normalise=True), lm.GD(0.001)),
    "multi-modal, momentum": _run(_MULTI, rule=lm.GD(0.01, momentum=0.5)),
}
