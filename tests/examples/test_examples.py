"""Examples run as they stand; where their framework is not installed, at least the line about the optimiser does."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lemmata.optim

FOLDER = Path(__file__).parent.parent.parent / "examples"
NEEDS = {
    "plain_loop": (),
    "hugging_face_trainer": ("transformers", "accelerate"),
    "lightning_module": ("lightning",),
}


def run(name, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", FOLDER / f"{name}.py", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(NEEDS)


@pytest.mark.parametrize("name", NEEDS)
def test_its_optimiser_can_be_made(name):
    calls = [node for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text())) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id.endswith("PP")]
    options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    parameter = torch.nn.Parameter(torch.ones(3))
    optimiser = getattr(lemmata.optim, call.func.id)([parameter], **options)
    parameter.grad = torch.ones(3)
    optimiser.step()
    assert float(parameter.detach().max()) < 1


def test_plain_loop_is_short_and_learns():
    code = [line for line in (FOLDER / "plain_loop.py").read_text().split('"""', 2)[2].splitlines() if line.strip()]
    assert len(code) <= 20
    losses = [float(line.split("loss ")[1].split()[0]) for line in run("plain_loop").splitlines()]
    assert losses[0] > 0.6
    assert losses[-1] < 0.01


@pytest.mark.parametrize("name", ["hugging_face_trainer", "lightning_module"])
def test_fragment_runs_in_its_framework(name):
    for package in NEEDS[name]:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    last = run(name, *(["20"] if name == "hugging_face_trainer" else [])).splitlines()[-1]
    assert last.startswith("loss ")
