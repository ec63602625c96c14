"""Members of the laws from the denoising results: the losses that are functions of (A, Q), and the classifier."""

import lemmata as lm

_DATA = lm.TwoSignals(n=6, d=60, signal=3.0)
_NET = lm.TiedDenoiser(m=4, init=0.05)
_CUBIC = lm.TiedDenoiser(m=4, init=0.1, activation=lm.Power(3))

MEMBERS: dict[str, lm.Run] = {
    "denoising": lm.Run(_DATA, _NET, lm.Denoising(0.2), lm.GD(c=0.3)),
    "denoising, late": lm.Run(_DATA, _NET, lm.Denoising(1.0), lm.GD(c=0.3)),
    "denoising, cubic": lm.Run(_DATA, _CUBIC, lm.Denoising(0.2), lm.GD(c=0.1)),
    "denoising, decay, momentum": lm.Run(_DATA, _NET, lm.Denoising(0.2), lm.GD(c=0.1, weight_decay=0.05, momentum=0.5)),
    "denoising, batches": lm.Run(_DATA, _NET, lm.Denoising(0.2), lm.GD(c=0.1, batch_size=2)),
    "denoising, backtracking": lm.Run(_DATA, _NET, lm.Denoising(0.2), lm.GD(c=3.0, backtrack=True)),
    "denoising, fixed noises": lm.Run(
        lm.TwoSignals(3, 60, 3.0, diffusion_noises=2), _NET, lm.FixedNoiseDenoising(0.2), lm.GD(step_size=0.003)
    ),
    "quadratic classifier": lm.Run(
        _DATA,
        lm.TwoLayerCNN(4, v0=1.0, init=0.05, activation=lm.Power(2), train_output=False, divide_by_m=True),
        rule=lm.GD(step_size=0.2),
    ),
}
