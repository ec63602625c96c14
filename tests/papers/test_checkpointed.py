"""Trainings with checkpoints on toy data in the published form: they end alike, interrupted or shared or neither."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch

from lemmata.lab.find import find
from lemmata.lab.run_folder import conclude
from lemmata.loops import loop
from lemmata.loops.launch import CHECKPOINT
from lemmata.papers.parameter_free import cifar as cifar
from lemmata.papers.parameter_free import gpt2 as gpt2
from lemmata.report.style import save
from lemmata.sweep import sweep

pytest.importorskip("datasets")
pytest.importorskip("accelerate")
from tests.oracles.toy_files import write_cifar, write_text

POINTS = {
    "cifar": {"net": "resnet18", "schedule": "cosine", "optimiser": "adam++", "tuning": 2, "seed": 1},
    "gpt2": {"net": "small", "schedule": "cosine", "optimiser": "adam++", "tuning": 1, "seed": 1},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    texts = tmp_path_factory.mktemp("text")
    write_text(texts)
    return {"cifar": write_cifar(tmp_path_factory.mktemp("cifar")), "gpt2": texts}


def body_of(name, folders, **changes):
    body, _ = find(f"parameter-free-{name}").configure("smoke", {"data": str(folders[name])})
    return dataclasses.replace(body, **changes)


def in_a_process_killed_at(step, body, point, scratch):
    """Train in a child that kills itself when it has taken so many steps; no handler, no tidying up."""
    child = os.fork()
    if child == 0:
        taken, real = 0, loop.Training.step

        def fatal(self, at):
            nonlocal taken
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, at)
            taken += 1

        loop.Training.step = fatal
        try:
            body.run([point], scratch=scratch)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("name", POINTS)
def test_killed_twice_it_goes_on_bit_for_bit(name, folders, tmp_path, monkeypatch):
    body, point = body_of(name, folders, checkpoint_every=3), POINTS[name]
    whole = body.run([point])
    in_a_process_killed_at(4, body, point, tmp_path)
    assert torch.load(tmp_path / CHECKPOINT)["step"] == 3
    in_a_process_killed_at(5, body, point, tmp_path)
    assert torch.load(tmp_path / CHECKPOINT)["step"] == 6
    steps, real = [], loop.Training.step
    monkeypatch.setattr(loop.Training, "step", lambda self, at: (steps.append(at), real(self, at)))
    resumed = body.run([point], scratch=tmp_path)
    assert steps[0] == 6
    for key in whole:
        np.testing.assert_array_equal(resumed[key], whole[key], err_msg=key)
    assert np.isfinite(whole["eta"]).all()


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(folders, tmp_path, monkeypatch):
    body, point, real = body_of("gpt2", folders, checkpoint_every=3), POINTS["gpt2"], torch.save
    written = []

    def breaks_at_the_second(kept, path):
        written.append(kept["step"])
        if len(written) == 2:
            path.write(b"half")
            raise KeyboardInterrupt
        real(kept, path)

    monkeypatch.setattr(torch, "save", breaks_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        body.run([point], scratch=tmp_path)
    assert torch.load(tmp_path / CHECKPOINT)["step"] == 3
    monkeypatch.setattr(torch, "save", real)
    np.testing.assert_array_equal(body.run([point], scratch=tmp_path)["loss"], body.run([point])["loss"])


def test_pieces_of_a_batch_add_up_to_it(folders):
    body, point = body_of("gpt2", folders), POINTS["gpt2"]
    in_pieces, whole = body.at({"micro_batch": 3}), body.at({"micro_batch": 8})
    np.testing.assert_allclose(in_pieces.run([point])["loss"], whole.run([point])["loss"], rtol=1e-5)


def test_two_processes_train_as_one(folders, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, ["src", os.environ.get("PYTHONPATH")])))
    body, point = body_of("gpt2", folders), POINTS["gpt2"]
    two = dataclasses.replace(body, processes=2).run([point])
    one = body.run([point])
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-5)
    np.testing.assert_allclose(two["eta"], one["eta"], rtol=1e-4)


def test_a_training_that_diverges_is_marked_and_ends(folders, monkeypatch):
    body, point = body_of("gpt2", folders), POINTS["gpt2"]
    lost = lambda self, model, *_: sum(p.sum() for p in model.parameters()) * torch.nan  # noqa: E731
    monkeypatch.setattr(gpt2.GPT2Training, "loss", lost)
    found = body.run([point])
    assert found["status"] == 2
    assert np.isnan(found["loss"]).all()
    assert found["loss"].shape == (1, 3)


@pytest.mark.parametrize("name", POINTS)
def test_each_runs_at_size_smoke_and_its_figure_is_drawn(name, folders, tmp_path):
    experiment = find(f"parameter-free-{name}")
    body, grid = experiment.configure("smoke", {"data": str(folders[name])})
    sweep(body, grid, tmp_path / "data.zarr", progress=False)
    dataset, found = conclude(experiment, "smoke", tmp_path)
    assert bool(dataset["done"].all())
    assert [verdict.holds for verdict in found] == [True] + [None] * (len(found) - 1)
    for key, figure in experiment.figures(dataset).items():
        assert save(figure, tmp_path / f"{key}.png", dpi=50).stat().st_size > 5000


@pytest.mark.parametrize("name", POINTS)
def test_missing_data_is_one_sentence_with_what_to_download(name, folders, tmp_path):
    experiment = find(f"parameter-free-{name}")
    source = {"cifar": "uoft-cs/cifar10", "gpt2": "Skylion007/openwebtext"}[name]
    for changes in ({}, {"data": str(tmp_path)}):
        body, grid = experiment.configure("paper", changes)
        with pytest.raises(ValueError, match=source) as refusal:
            body.check(grid)
        assert "--data DIR" in str(refusal.value)
        assert str(refusal.value).count(". ") == 0


def test_text_without_its_vocabulary_is_refused(folders, tmp_path):
    write_text(tmp_path, documents=4)
    (tmp_path / "tokenizer.json").unlink()
    body, grid = find("parameter-free-gpt2").configure("smoke", {"data": str(tmp_path)})
    with pytest.raises(ValueError, match=r"tokenizer\.json; download it with 'hf download openai-community/gpt2"):
        body.check(grid)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"processes": 3}, ["3 processes", "16"]),
        ({"precision": "fp8"}, ["'fp8'", "bf16"]),
        ({"steps": 0}, ["steps = 0"]),
        ({"net": ("alexnet",)}, ["'alexnet'", "vgg16"]),
    ],
)
def test_bad_options_are_refused(changes, words, folders):
    def configure():
        body, grid = find("parameter-free-cifar").configure("smoke", {"data": str(folders["cifar"]), **changes})
        body.check(grid)

    with pytest.raises(ValueError, match=r"\w") as refusal:
        configure()
    assert all(word in str(refusal.value) for word in words)


def test_paper_sizes_are_the_recipes(folders):
    body, grid = find("parameter-free-cifar").configure("paper", {"data": str(folders["cifar"])})
    assert body.steps == 200 * (50000 // 128)
    assert set(grid.names) == set(body.shape_axes(grid))
    assert grid.dims["net"] == 3
    language, _ = find("parameter-free-gpt2").configure("paper", {"data": str(folders["gpt2"])})
    assert (language.batch, language.context, language.steps) == (480, 1024, 50000)
    multiplier = gpt2.schedule("cosine", 50000, 2000)
    assert multiplier(0) == pytest.approx(1 / 2001)
    assert multiplier(2000) == 1.0
    assert multiplier(50000) == pytest.approx(0.1)


def test_cifar_claims_compare_with_adam_at_its_best():
    import xarray as xr

    dims = ("net", "schedule", "optimiser", "tuning", "seed", "step")
    names = {"net": ["resnet18", "vgg16"], "schedule": ["constant", "cosine"]}
    names["optimiser"] = ["adam", "adam++", "adam++sum"]
    accuracy = np.full((2, 2, 3, 3, 1, 1), 0.95)
    accuracy[:, :, 0, 0] = 0.7
    table = xr.Dataset({"accuracy": (dims, accuracy)}, {**names, "tuning": [0, 1, 2], "seed": [0], "step": [9]})
    table["knob"] = (("optimiser", "tuning"), np.array([(1e-4, 1e-3, 1e-2)] + 2 * [(1e-8, 1e-6, 1e-4)]))
    table["status"] = (dims[:-1], np.zeros((2, 2, 3, 3, 1), int))
    assert [claim.check(table).holds for claim in cifar.CLAIMS] == [True] * 4
    table["accuracy"].loc[{"optimiser": "adam++", "tuning": 1}] = 0.94
    table["accuracy"].loc[{"optimiser": "adam++sum", "net": "vgg16"}] = 0.1
    assert [claim.check(table).holds for claim in cifar.CLAIMS] == [True, False, False, False]
