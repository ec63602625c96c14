"""Attacks against closed forms, slow twins and other packages."""

import pytest
import torch
from torch import nn

from lemmata.robust import NormalizedModel, apgd, fgsm, pgd
from lemmata.robust.attacks.apgd import checkpoints
from lemmata.robust.attacks.losses import LOSSES, errs, margin
from lemmata.robust.attacks.norms import inside, into_box, lengths, on_the_edge, project, steepest
from lemmata.robust.noise import generator
from tests.oracles import robust as slow
from tests.robust.members import K, network, samples, train


def trained(seed=0, epochs=12):
    """A network that some attacks break and others do not, in train mode."""
    from tests.robust.members import METHODS

    model = network(seed)
    train(METHODS["FGSM-RS"](eps=0.05), model, epochs=epochs)
    return model


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return float((~errs(model(x), y)).float().mean())


class Linear(nn.Module):
    """Three classes, linear in the pixels: what an attack can do is known."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(K, 16, generator=generator, dtype=torch.float64))

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


@pytest.mark.parametrize("attack", [fgsm, pgd, apgd])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_two_classes_linear_are_solved_exactly(attack, norm):
    """In the middle of the box the worst change of z_1 - z_0 is -eps times the dual norm of the weights' difference."""
    model = Linear()
    model.weight = nn.Parameter(model.weight[:2].detach())
    x = torch.full((5, 1, 4, 4), 0.5, dtype=torch.float64)
    y = torch.tensor([0, 1, 0, 1, 1])
    eps = 0.05
    found = attack(model, x, y, eps=eps, norm=norm, **({} if attack is fgsm else {"steps": 30}))
    difference = (model.weight[1] - model.weight[0]).detach()
    dual = difference.abs().sum() if norm == "linf" else difference.norm()
    lost = margin(model(found), y) - margin(model(x), y)
    still = ~errs(model(found), y)  # attacks stop where the network errs
    assert (lost[still] / (eps * dual)).tolist() == pytest.approx([1.0] * int(still.sum()), rel=1e-3)
    assert int(still.sum()) > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_pgd_equals_one_image_at_a_time(loss):
    model, (x, y, _) = trained().double().eval(), samples(dtype=torch.float64)
    found = pgd(model, x, y, eps=0.2, steps=12, step_size=0.06, loss=loss, seed=4)
    start = inside(x, 0.2, "linf", generator(x.device, 4)).to(x.dtype)
    expected = slow.pgd(model, x, y, start, 12, 0.06, 0.2, LOSSES[loss])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert 0.1 < float(errs(model(found), y).float().mean()) < 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_is_torchattacks_with_equal_settings(norm):
    """Within one sample of 500: its last iterate is judged, ours stops at the first wrong one."""
    torchattacks = pytest.importorskip("torchattacks")
    model, (x, y, _) = trained(), samples(500, seed=9)
    model.eval()
    eps, step = (0.15, 0.15 / 4) if norm == "linf" else (0.5, 0.5 / 4)
    settings = {"eps": eps, "alpha": step, "steps": 50, "random_start": False}
    if norm == "linf":
        theirs = torchattacks.PGD(model, **settings)(x, y)
    else:  # its gradient of a mean over 500 images is so small that its usual 1e-10 beside the norm changes steps
        theirs = torchattacks.PGDL2(model, **settings, eps_for_division=1e-30)(x, y)
    options = {"eps": eps, "step_size": step, "steps": 50, "random_start": False, "norm": norm}
    plain = pgd(model, x, y, stop_when_wrong=False, **options)
    torch.testing.assert_close(plain, theirs, rtol=0, atol=2e-5)
    ours = accuracy(model, pgd(model, x, y, **options), y)
    assert 0.1 < ours < 0.9
    assert abs(ours - accuracy(model, theirs, y)) <= 1 / 500 + 1e-9


@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_apgd_is_as_strong_as_its_authors(loss):
    base = pytest.importorskip("pyautoattack.autopgd_base")
    model, (x, y, _) = trained(), samples(300, seed=9)
    model.eval()
    theirs = base.APGDAttack(model, n_iter=40, eps=0.15, norm="Linf", loss=loss, seed=0, device="cpu")
    expected = accuracy(model, theirs.perturb(x, y), y)
    found = apgd(model, x, y, eps=0.15, steps=40, loss=loss)
    assert abs(accuracy(model, found, y) - expected) <= 0.01
    assert 0.1 < expected < 0.9


def test_apgd_looks_where_its_authors_do():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("attack", [pgd, apgd])
def test_more_restarts_and_steps_break_no_fewer(attack):
    model, (x, y, _) = trained(), samples(300, seed=2)
    few, more, many = (
        accuracy(model, attack(model, x, y, eps=0.15, steps=steps, restarts=restarts), y)
        for steps, restarts in ((1, 1), (20, 1), (20, 4))
    )
    assert many <= more < few


@pytest.mark.parametrize("attack", [fgsm, pgd, apgd])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_stay_in_ball_and_box_and_put_everything_back(attack, norm):
    model, (x, y, _) = trained(), samples()
    model[1].eval()
    before, modes = {k: v.clone() for k, v in model.state_dict().items()}, [m.training for m in model.modules()]
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    with torch.no_grad():
        found = attack(model, x, y, eps=0.3, norm=norm)
    apart = found - x
    length = apart.abs().max() if norm == "linf" else lengths(apart).max()
    assert 0.1 < float(length) <= 0.3 + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found.requires_grad
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_attacks_run_under_inference_mode_and_after_errors_modes_are_back():
    model, (x, y, _) = trained(), samples()
    with torch.inference_mode():
        assert accuracy(model, pgd(model, x, y, eps=0.2, steps=3), y) < 1
    model.train()
    with pytest.raises(ValueError, match="a label of 3 was given, but the model has 3 classes"):
        pgd(model, x, y + 1, eps=0.1)
    assert all(m.training for m in model.modules())


def test_bn_train_moves_running_statistics_and_eval_does_not():
    model, (x, y, _) = trained(), samples()
    count = int(model[1].num_batches_tracked)
    pgd(model, x, y, eps=0.1, steps=3, stop_when_wrong=False)
    assert int(model[1].num_batches_tracked) == count
    pgd(model, x, y, eps=0.1, steps=3, stop_when_wrong=False, bn="train")
    assert int(model[1].num_batches_tracked) == count + 4  # three steps and the last look


def test_an_image_whose_logits_are_not_finite_counts_as_wrong_and_stays_home():
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = trained().double().eval()

        def forward(self, x):
            return self.model(x) + torch.where(x.flatten(1).amax(1)[:, None] < 0.2, float("nan"), 0.0)

    x, y, _ = samples(12, dtype=torch.float64)
    sound = pgd(trained().double().eval(), x[1:], y[1:], eps=0.1, random_start=False)
    x[0] = 0
    found = pgd(Breaks(), x, y, eps=0.1, random_start=False)
    torch.testing.assert_close(found[1:], sound)
    assert torch.isfinite(found).all()
    assert bool(errs(Breaks()(x), y)[0])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_projection_is_the_nearest_point_and_ascent_the_best_direction(norm):
    source = torch.Generator().manual_seed(0)
    delta, gradient = torch.randn(6, 2, 3, generator=source), torch.randn(6, 2, 3, generator=source)
    nearest, apart = project(delta, 0.7, norm), steepest(gradient, norm)
    for _ in range(200):
        other = project(delta + 0.3 * torch.randn(delta.shape, generator=source), 0.7, norm)
        assert (lengths(nearest - delta) <= lengths(other - delta) + 1e-6).all()
        one = project(torch.randn(delta.shape, generator=source) * 5, 1.0, norm)
        assert ((apart * gradient).sum((1, 2)) >= (one * gradient).sum((1, 2)) - 1e-5).all()
    assert torch.equal(project(0.1 * nearest, 0.7, norm), 0.1 * nearest)
    assert torch.isfinite(steepest(torch.zeros(2, 3), norm)).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_starts_fill_the_ball_and_its_edge(norm):
    x = torch.zeros(2000, 4)
    drawn, edge = (f(x, 0.5, norm, generator(x.device, 1)) for f in (inside, on_the_edge))
    length = drawn.abs().amax(1) if norm == "linf" else drawn.norm(dim=1)
    assert float(length.max()) <= 0.5
    assert float((length < 0.25).float().mean()) == pytest.approx(0.5**4, abs=0.02)  # volumes
    far = edge.abs().amin(1) if norm == "linf" else edge.norm(dim=1)
    torch.testing.assert_close(far, torch.full((2000,), 0.5))
    assert float(edge.mean(0).abs().max()) < 0.05


def test_the_box_holds_where_pixels_touch_it():
    x, delta = torch.tensor([[0.0, 1.0, 0.3]]), torch.tensor([[-0.2, 0.2, 0.2]])
    assert into_box(delta, x).tolist() == [[0.0, 0.0, pytest.approx(0.2)]]


def test_losses_are_those_of_the_literature():
    logits, y = torch.tensor([[2.0, 1.0, -1.0], [0.5, 3.0, 1.0]]), torch.tensor([0, 2])
    assert LOSSES["margin"](logits, y).tolist() == [-1.0, 2.0]
    assert LOSSES["dlr"](logits, y).tolist() == pytest.approx([-1 / 3, 2 / 2.5])
    with pytest.raises(ValueError, match="DLR loss was asked for with 2 classes; it needs 3"):
        LOSSES["dlr"](logits[:, :2], torch.tensor([0, 1]))


def test_normalisation_lives_in_the_model():
    """A wrapped model that undoes what the wrapper does is attacked as the bare one: eps is in pixels."""
    model, (x, y, _) = trained().eval(), samples()
    wrapped = NormalizedModel(nn.Sequential(_Denormalise(), model), mean=[0.3], std=[0.2]).eval()
    torch.testing.assert_close(
        pgd(wrapped, x, y, eps=0.1, steps=5), pgd(model, x, y, eps=0.1, steps=5), atol=1e-3, rtol=0
    )
    with pytest.raises(ValueError, match=r"std = \[0.0\]"):
        NormalizedModel(model, mean=[0.5], std=[0.0])


class _Denormalise(nn.Module):
    def forward(self, x):
        return x * 0.2 + 0.3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"eps": 0}, "eps = 0 was asked for"),
        ({"eps": 0.1, "steps": 0}, "steps = 0"),
        ({"eps": 0.1, "step_size": -1.0}, "step_size = -1.0"),
        ({"eps": 0.1, "restarts": 0}, "restarts = 0"),
        ({"eps": 0.1, "loss": "cw"}, "loss = 'cw' was asked for; loss is one of ce, margin, dlr"),
        ({"eps": 0.1, "norm": "l1"}, "norm = 'l1'"),
        ({"eps": 0.1, "bn": "off"}, "bn = 'off'"),
    ],
)
def test_bad_arguments_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        pgd(network(), *samples()[:2], **options)
