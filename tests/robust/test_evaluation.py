"""Reports agree with counting by hand, and AutoAttack and the monitor do what they say."""

import json
import sys

import pytest
import torch
from torch import nn

from lemmata.robust import CollapseWarning, Monitor, evaluate_robust, fgsm, pgd
from lemmata.robust.methods.method import AdvStep
from tests.robust.members import K, network, samples
from tests.robust.test_attacks import accuracy, trained


def loader(n=90, batch=40, seed=9):
    x, y, _ = samples(n, seed=seed)
    return [(x[rows], y[rows]) for rows in torch.arange(n).split(batch)]


def test_the_report_is_what_counting_by_hand_finds():
    model, batches = trained(), loader()
    model.train()
    report = evaluate_robust(model, batches, ["fgsm", "pgd-20", "margin-20"], eps=0.15)
    assert all(m.training for m in model.modules())
    x, y = (torch.cat(parts) for parts in zip(*batches))
    model.eval()
    hits = {"clean": model(x).argmax(1) == y, "fgsm": model(fgsm(model, x, y, eps=0.15)).argmax(1) == y}
    for name, loss in (("pgd-20", "ce"), ("margin-20", "margin")):
        images = torch.cat([pgd(model, *batch, eps=0.15, steps=20, loss=loss) for batch in batches])
        hits[name] = model(images).argmax(1) == y
    hits["union"] = torch.stack(list(hits.values())).all(0)
    assert report.samples == 90
    assert report.clean == pytest.approx(float(hits["clean"].float().mean()))
    assert report.union == pytest.approx(float(hits["union"].float().mean()))
    assert report.union <= min(report.attacks.values())
    for name, hit in hits.items():
        by_class = [float(hit[y == c].float().mean()) for c in range(K)]
        assert report.per_class[name].tolist() == pytest.approx(by_class)
        place, worst = report.worst_class(name)
        assert worst == pytest.approx(min(by_class))
        assert by_class[place] == pytest.approx(worst)
        assert report.gap(name) == pytest.approx(max(by_class) - min(by_class))
    assert set(report.seconds) == {"clean", "fgsm", "pgd-20", "margin-20"}


def test_reports_print_and_store():
    report = evaluate_robust(trained(), loader(), ["pgd-5"], eps=0.15)
    stored = json.loads(json.dumps(report.to_dict()))
    assert stored["attacks"]["pgd-5"] == report.attacks["pgd-5"]
    text = report.to_markdown()
    assert text.splitlines()[0] == "90 samples; eps 0.15, norm linf, mode eval, seed 0"
    assert f"| pgd-5 | {report.attacks['pgd-5']:.3f} | {report.worst_class('pgd-5')[1]:.3f}" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 2 + 1 + 1 + K
    short = evaluate_robust(trained(), loader(), ["pgd-5"], eps=0.15, per_class=False)
    assert short.per_class == {}
    assert "class" not in short.to_markdown()
    with pytest.raises(ValueError, match="there are none: run it with per_class=True"):
        short.worst_class()


def test_a_class_without_samples_is_no_worst_class():
    x, y, _ = samples(30)
    there = y < 2
    report = evaluate_robust(trained(), [(x[there], y[there])], ["fgsm"], eps=0.15)
    assert report.class_count.tolist() == [10, 10, 0]
    assert torch.isnan(report.per_class["fgsm"][2])
    assert report.worst_class("fgsm")[0] < 2
    assert 0 <= report.gap("fgsm") <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attacks": ["pgd"]}, "the attack 'pgd' was asked for; there are fgsm, pgd-N"),
        ({"attacks": ["pgd-0"]}, "a number of steps N from 1"),
        ({"attacks": "fgsm"}, r"give a list of names, \['fgsm'\]"),
        ({"attacks": {"union": fgsm}}, "an attack is called clean or union"),
        ({"eps": -1.0}, "eps = -1.0"),
        ({"attacks": {"far": lambda model, x, y: (x + 0.5).clamp(0, 1)}}, "the attack 'far' went 0.5 away"),
        ({"attacks": {"nan": lambda model, x, y: x * float("nan")}}, "the attack 'nan' went nan away"),
        ({"loader": []}, "the loader gave no batch"),
        ({"loader": [(2 * samples()[0], samples()[1])]}, "pixels from .* NormalizedModel"),
        ({"loader": [(samples()[0], samples()[1] + 1)]}, "labels from 1 to 3 were given, but the classes are 0 to 2"),
    ],
)
def test_bad_evaluations_are_refused(options, said):
    arguments = {"loader": loader(), "attacks": ["fgsm"], "eps": 0.1, **options}
    with pytest.raises(ValueError, match=said):
        evaluate_robust(network(), arguments.pop("loader"), **arguments)


class Four(nn.Module):
    """Adds a fourth class that never wins: AutoAttack's targeted loss needs four."""

    def __init__(self):
        super().__init__()
        self.model = trained()

    def forward(self, x):
        return torch.cat([self.model(x), torch.full((len(x), 1), -20.0)], 1)


def test_autoattack_is_no_weaker_than_pgd_and_puts_the_generator_back():
    pytest.importorskip("pyautoattack")
    model, batches = Four(), loader(12, 12)
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    report = evaluate_robust(model, batches, ["pgd-50"], eps=0.15, autoattack=True)
    assert torch.equal(state, torch.random.get_rng_state())
    assert 0 < report.attacks["autoattack"] <= report.attacks["pgd-50"]
    assert report.union == report.attacks["autoattack"]
    assert all(m.training for m in model.modules())
    with pytest.raises(ValueError, match="with 3 classes; its targeted DLR loss needs 4"):
        evaluate_robust(trained(), batches, [], eps=0.15, autoattack=True)
    with pytest.raises(ValueError, match="version 'best' was asked for; there are standard, plus, rand"):
        evaluate_robust(model, batches, [], eps=0.15, autoattack="best")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'lemmata\[robust\]'"):
        evaluate_robust(trained(), loader(), ["fgsm"], eps=0.15, autoattack=True)


class Masked(nn.Module):
    """Gradient masking in its purest form: the slope points the wrong way at the images, and nowhere else."""

    def __init__(self, model, images):
        super().__init__()
        self.model, self.images = model, images

    def forward(self, x):
        apart = torch.cdist(x.flatten(1), self.images.flatten(1), p=float("inf")).amin(1).detach()
        flip = torch.where(apart < 0.01, -1.0, 1.0)[:, None]
        true = self.model(x)
        return true.detach() + flip * (true - true.detach())


def test_the_monitor_warns_once_of_overfitting():
    x, y, _ = samples(90, seed=9)
    model = Masked(trained(), x)
    monitor = Monitor(eps=0.2)
    with pytest.warns(CollapseWarning, match=r"overfitting at step 0: accuracy 1\.000 under FGSM .* PGD-10") as caught:
        monitor.check(model, x, y)
    monitor.check(model, x, y)  # silent now: a second warning would be an error
    assert len(caught) == 1
    assert monitor.fired == {"overfitting": 0}
    assert len(monitor.readings) == 2
    reading = monitor.readings[0]
    assert reading.gap == pytest.approx(reading.fgsm - reading.pgd)
    assert reading.gap > 0.2


def test_the_monitor_is_silent_on_sound_training(recwarn):
    x, y, _ = samples(90, seed=9)
    model = trained()
    monitor = Monitor(eps=0.2)
    reading = monitor.check(model, x, y)
    model.eval()
    assert reading.fgsm == pytest.approx(accuracy(model, fgsm(model, x, y, eps=0.2), y))
    for batch in torch.arange(90).split(30):
        monitor.watch(AdvStep(torch.zeros(()), model(x[batch]), None, torch.zeros(())))
    entropy = monitor.epoch_end()
    assert entropy == pytest.approx(1.0986, abs=0.05)  # ln 3: classes are equally frequent
    assert monitor.fired == {}
    assert not [w for w in recwarn if issubclass(w.category, CollapseWarning)]
    assert monitor.epoch_end() is None


def test_the_monitor_warns_once_of_constant_predictions(recwarn):
    monitor = Monitor()
    logits = torch.zeros(100, 5)
    logits[:, 3] = 1
    for _ in range(2):
        monitor.watch(AdvStep(torch.zeros(()), logits, None, torch.zeros(())))
        monitor.watch(AdvStep(torch.zeros(()), logits, None, torch.zeros(())))
        assert monitor.epoch_end() == 0
    (caught,) = [w for w in recwarn if issubclass(w.category, CollapseWarning)]
    assert "at step 2: class 3 for 100.0% of an epoch's images" in str(caught.message)
    assert "a smaller lam" in str(caught.message)
    assert monitor.fired == {"constant": 2}
