"""Laws that every method of adversarial training in the room obeys."""

import copy
import io

import pytest
import torch
from torch import nn

from lemmata.robust import FGSMMEP, FGSMRS, NFGSM, PGDAT, SelfKnowledge
from lemmata.robust.attacks.norms import lengths
from tests.robust.members import METHODS, K, network, samples, train

EACH = pytest.mark.parametrize("name", METHODS)


@EACH
def test_it_learns_to_resist(name):
    """After some epochs most training images are right under the method's own attack."""
    method = METHODS[name](eps=0.1)
    model = network()
    train(method, model, epochs=12)
    x, y, numbers = samples()
    method.loss(model, x, y, numbers)
    assert method.epoch_end().robust_average > 0.8


@EACH
def test_the_seed_decides(name):
    first, again, other = (train(METHODS[name](eps=0.1, seed=seed), network()) for seed in (0, 0, 1))
    assert first == again
    assert first != other or name == "FGSM"


@EACH
def test_no_global_generator_is_read_or_moved(name):
    model, other = network(), network()
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = train(METHODS[name](eps=0.1), model)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    assert train(METHODS[name](eps=0.1), other) == first


@EACH
def test_resumed_equals_uninterrupted(name):
    """A state written to disk in the middle of an epoch, read without executing anything, goes on bit for bit."""
    x, y, numbers = samples()

    def steps(method, model, count):
        return [float(method.loss(model, x[:16], y[:16], numbers[:16]).loss.detach()) for _ in range(count)]

    whole, model = METHODS[name](eps=0.1), network()
    train(whole, model)
    steps(whole, model, 2)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    twin, kept = METHODS[name](eps=0.1), copy.deepcopy(model)
    file.seek(0)
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert steps(whole, model, 2) == steps(twin, kept, 2)
    a, b = whole.epoch_end(), twin.epoch_end()
    assert torch.equal(a.robust, b.robust)
    assert torch.equal(a.count, b.count)
    assert train(whole, model, epochs=1) == train(twin, kept, epochs=1)


@EACH
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_perturbations_stay_in_ball_and_box(name, norm):
    eps = 0.15 if norm == "linf" else 0.6
    method, model = METHODS[name](eps=eps, norm=norm), network()
    train(method, model, epochs=1)
    x, y, numbers = samples()
    delta = method.loss(model, x, y, numbers).delta
    length = delta.abs().max() if norm == "linf" else lengths(delta).max()
    reach = 3 * eps if isinstance(method, NFGSM) else eps  # noise of 2 eps and a step of eps, by design
    assert length <= reach * (1 + 1e-6)
    assert length > 0.5 * eps
    assert ((x + delta) >= -1e-6).all()
    assert ((x + delta) <= 1 + 1e-6).all()
    assert not delta.requires_grad


@EACH
def test_gradients_and_modes_are_left_alone(name):
    """No .grad appears before backward; parts in eval mode stay in it; no_grad around it changes nothing."""
    method, model = METHODS[name](eps=0.1), network()
    model[1].eval()
    x, y, numbers = samples()
    with torch.no_grad():
        step = method.loss(model, x, y, numbers)
    assert all(p.grad is None for p in model.parameters())
    assert [m.training for m in model.modules()] == [True, True, False, True, True, True]
    assert not x.requires_grad
    step.loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@EACH
def test_channels_last_and_contiguous_agree(name):
    x, _, _ = samples()
    x = x.expand(-1, 1, -1, -1)
    plain = train(METHODS[name](eps=0.1), network(dtype=torch.float64), x=x.double())
    model = network(dtype=torch.float64).to(memory_format=torch.channels_last)
    other = train(METHODS[name](eps=0.1), model, x=x.double().to(memory_format=torch.channels_last))
    assert plain == pytest.approx(other, rel=1e-6)


@EACH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_grad_scaler(name, dtype):
    """Half-precision passes: perturbations stay float32, and the loss scale is handled as in any loop."""
    method, model = METHODS[name](eps=0.1), network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, enabled=dtype == torch.float16)
    x, y, numbers = samples()
    losses = []
    for _ in range(12):
        with torch.autocast("cpu", dtype=dtype):
            step = method.loss(model, x, y, numbers)
        assert step.loss.dtype == torch.float32
        assert step.delta.dtype == torch.float32
        optimizer.zero_grad()
        scaler.scale(step.loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(step.loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("name", "bn", "moves"), [("FGSM-RS", "train", 2), ("FGSM-RS", "eval", 1), ("TRADES", "eval", 2)]
)
def test_batch_norm_sees_the_passes_it_is_said_to(name, bn, moves):
    """ "eval" keeps the attack's passes out of the running statistics."""
    method, model = METHODS[name](eps=0.1, bn=bn), network()
    method.loss(model, *samples())
    assert int(model[1].num_batches_tracked) == moves


@pytest.mark.parametrize(
    ("name", "forwards"),
    [("FGSM-RS", 2), ("N-FGSM", 2), ("FGSM-PGI", 2), ("TDAT", 2), ("SKG class", 3), ("SKG none", 2), ("PGD-AT", 3)],
)
def test_passes_are_as_many_as_are_said(name, forwards):
    method, model = METHODS[name](eps=0.1), network()
    train(method, model, epochs=1)
    calls = []
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    method.loss(model, *samples())
    handle.remove()
    assert len(calls) == forwards


def _step(method=None, model=None, x=None, y=None):
    images, labels, numbers = samples()
    method = METHODS["SKG class"](eps=0.1) if method is None else method
    x, y = images if x is None else x, labels if y is None else y
    return method.loss(network() if model is None else model, x, y, numbers[: len(x)])


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: _step(x=2 * samples()[0]), r"pixels from 0\.\d+ to 1\.\d* were given, .* NormalizedModel"),
        (lambda: _step(x=samples()[0] - 0.5), "pixels from -0.49"),
        (lambda: _step(x=samples()[0] * float("nan")), "pixels from nan to nan"),
        (lambda: _step(y=samples()[1] + 1), "labels from 1 to 3 were given, but the classes are 0 to 2"),
        (lambda: _step(y=samples()[1] - 1), "labels from -1 to 1 were given"),
        (lambda: _step(y=samples()[1][:5]), r"x has shape \(40, 1, 4, 4\) and y \(5,\)"),
        (lambda: _step(y=samples()[1].float()), "y torch.float32"),
        (lambda: _step(x=(255 * samples()[0]).to(torch.uint8)), "x is torch.uint8"),
        (lambda: _step(x=samples()[0][:1], y=samples()[1][:1]), "a batch of one image .* drop_last=True"),
        (lambda: _step(model=_Tuple()), "the model returned a tuple; wrap it"),
        (lambda: _step(method=FGSMRS(5, eps=0.1)), r"logits of shape \(40, 3\); \(40, 5\) are needed"),
        (lambda: FGSMRS(3, eps=0.0), "eps = 0.0 was asked for; eps must be a finite number above 0"),
        (lambda: FGSMRS(3, eps=-0.1), "eps = -0.1"),
        (lambda: FGSMRS(3, eps=float("inf")), "eps = inf"),
        (lambda: FGSMRS(3, alpha=0.0), "alpha = 0.0 was asked for; alpha must be a finite number above 0"),
        (lambda: PGDAT(3, alpha=-1.0), "alpha = -1.0"),
        (lambda: PGDAT(3, steps=0), "steps = 0"),
        (lambda: FGSMRS(1), "num_classes = 1 was asked for; num_classes must be a whole number of at least 2"),
        (lambda: FGSMRS(3, norm="l1"), "norm = 'l1' was asked for; norm is one of linf, l2"),
        (lambda: SelfKnowledge(3, lam=-1.0), "lam = -1.0"),
        (lambda: SelfKnowledge(3, label_min=0.9, label_max=0.3), "label_max = 0.3"),
        (lambda: SelfKnowledge(3, relaxation="class"), "label_min = 0.3 .* with 3 classes, .* more than 1/3"),
        (lambda: FGSMMEP(3, samples=4, confidence=0.2), "confidence = 0.2 .* more than 1/3"),
        (lambda: SelfKnowledge(3, relaxation="none"), "relaxation = 'none' .* released, class, fixed"),
        (lambda: SelfKnowledge(3, init="sample_memory"), "without samples=; give their number"),
        (lambda: FGSMRS(3).epoch_end(), r"epoch_end\(\) was called without a step"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(act, said):
    with pytest.raises(ValueError, match=said) as error:
        act()
    assert "\n" not in str(error.value)


class _Tuple(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :3], x


def test_a_state_of_others_is_refused():
    state = SelfKnowledge(5).state_dict()
    with pytest.raises(ValueError, match="the state has 5 classes, this method 3"):
        SelfKnowledge(3).load_state_dict(state)
    with pytest.raises(ValueError, match="the state is of 'SelfKnowledge', but this method is FGSMRS"):
        FGSMRS(5).load_state_dict(state)


def test_a_refused_batch_leaves_everything_as_it_was():
    method, model = METHODS["SKG class"](eps=0.1), network()
    train(method, model, epochs=1)
    before, weights = method.state_dict(), copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="pixels"):
        method.loss(model, 2 * samples()[0], samples()[1])
    after = method.state_dict()
    assert after["step"] == before["step"]
    assert torch.equal(after["counts"], before["counts"])
    assert after["extremes"] is None
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_memories_want_the_samples_numbers_and_one_shape():
    method, (x, y, numbers) = METHODS["FGSM-MEP"](eps=0.1), samples()
    with pytest.raises(ValueError, match=r"index=\(n,\), n = 40, and none was given"):
        method.loss(network(), x, y)
    with pytest.raises(ValueError, match="samples 1 to 40 were given, but there are 40"):
        method.loss(network(), x, y, numbers + 1)
    batch = METHODS["SKG class"](eps=0.1)
    batch.loss(network(), x, y)
    with pytest.raises(ValueError, match=r"images of shape \(1, 8, 8\) were given after \(1, 4, 4\)"):
        batch.loss(network(side=8), *samples(side=8)[:2])


def test_a_class_absent_for_an_epoch_keeps_its_number():
    """First the mean of the others, later its own last accuracy; never NaN."""
    method, model = METHODS["SKG class"](eps=0.1), network()
    x, y, _ = samples()
    there = y < 2
    method.loss(model, x[there], y[there])
    first = method.epoch_end()
    assert int(first.count[2]) == 0
    assert float(first.clean[2]) == pytest.approx(float(first.clean[:2].mean()), abs=1e-3)
    train(method, model, epochs=3)
    known = method._last
    method.loss(model, x[there], y[there])
    later = method.epoch_end()
    assert float(later.clean[2]) == float(known.clean[2])
    assert torch.isfinite(later.factor).all()
    step = method.loss(model, x, y)
    assert torch.isfinite(step.loss)
    assert K == 3
