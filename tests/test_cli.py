"""The command line on a toy experiment: what it prints, what it writes, and how it ends."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

from lemmata import cli
from lemmata.lab import old_experiment as registry
from lemmata.lab.claims import Claim, Finding, converged
from lemmata.lab.old_experiment import Experiment, Option, Paper, register
from lemmata.sweep import Axis, Grid, Variable


@dataclass(frozen=True)
class Toy:
    """Measures n^power with a little noise that depends on the seed alone."""

    power: float = 0.5
    fail: str = ""

    variables: ClassVar = {"growth": Variable(long_name="growth"), "status": Variable(dtype="int64")}
    coordinates: ClassVar = {}

    def configuration(self):
        return {"power": self.power}

    def shape_axes(self, grid):
        return ("n",)

    def bytes_per_cell(self, point):
        return 100

    def estimate_seconds(self, points):
        return 0.01

    def run(self, points):
        if self.fail == "interrupt":
            raise KeyboardInterrupt
        if self.fail:
            raise RuntimeError(self.fail)
        power = np.array([point.get("power", self.power) for point in points])
        noise = np.array([1 + 0.01 * point["seed"] for point in points])
        return {"growth": np.array([p["n"] for p in points]) ** power * noise, "status": np.zeros(len(points), int)}


def grows(dataset):
    slope = np.diff(np.log(converged(dataset).dataset.growth.mean("seed")).isel(n=[0, -1]).values.ravel())
    ratio = float(slope[0] / np.log(dataset.n.values[-1] / dataset.n.values[0]))
    return Finding(holds=abs(ratio - 0.5) < 0.05, measured=f"{ratio:.3f}", predicted="0.5", tolerance="±0.05")


def draw(dataset):
    from lemmata.report.curves import curves
    from lemmata.report.style import new_figure

    figure, axes = new_figure()
    first = dataset if "power" not in dataset.dims else dataset.isel(power=0)
    curves(axes[0, 0], first.growth, "n", theory=first.growth_predicted, title="growth is a square root")
    return {"growth": figure}


def grid(size):
    return Grid(
        (Axis("n", {"smoke": (4, 9), "laptop": (4, 9, 16), "paper": tuple(range(4, 99))}[size]), Axis("seed", (0, 1)))
    )


TOY = Experiment(
    name="toy-growth",
    paper=Paper("A. Author", "On growth", "0000.00000"),
    shows="A number grows like the square root of n.",
    grid=grid,
    body=lambda size, **options: Toy(**options),
    claims=(
        Claim("square-root", "growth has exponent one half", "derived here", grows, sizes=registry.SIZES),
        Claim("large-n", "it goes on for n up to 100", "derived here", grows, sizes=("paper",)),
    ),
    predict=lambda dataset: xr.Dataset({"growth_predicted": dataset.n**0.5}),
    figures=draw,
    options=(
        Option("n", int, "samples, from 1"),
        Option("power", float, "exponent"),
        Option("fail", str, "break with this message", axis=False),
    ),
    seconds={"smoke": 0.1, "laptop": 90},
)


@pytest.fixture(autouse=True)
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    register(TOY)


def lemmata(*arguments):
    return cli.main([str(argument) for argument in arguments])


def refusal(capsys, *arguments):
    """The one sentence that a refused request prints, and that it leaves with code 2."""
    assert lemmata(*arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return error


def stored(folder):
    return xr.open_zarr(folder / "data.zarr", chunks=None)


def test_list_says_what_there_is_without_loading_torch(capsys):
    assert lemmata("list") == 0
    text = capsys.readouterr().out
    for word in ("toy-growth", "0000.00000", "square root of n", "4 cells", "190 cells"):
        assert word in text
    code = (
        "import sys, lemmata.cli as c; c.main(['list']); sys.exit(not {'torch', 'matplotlib'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_run_writes_data_figures_predictions_and_verdicts(tmp_path, capsys):
    assert lemmata("run", "toy-growth", "--size", "smoke") == 0
    text = capsys.readouterr().out
    for word in ("4 = 2 n × 2 seed", "growth has exponent one half", "holds", "not measurable", "growth.png"):
        assert word in text
    folder = tmp_path / "results" / "toy-growth"
    assert (folder / "growth.png").stat().st_size > 5000
    dataset = stored(folder)
    np.testing.assert_allclose(dataset.growth_predicted, [2, 3])
    assert dataset.growth.dims == ("n", "seed")
    assert [v["holds"] for v in json.loads(dataset.attrs["verdicts"])] == [True, None]


def test_run_again_trains_nothing_and_another_configuration_is_refused(tmp_path, capsys, monkeypatch):
    assert lemmata("run", "toy-growth", "--size", "smoke", "--out", "here") == 0
    monkeypatch.setattr(Toy, "run", lambda self, points: pytest.fail("trained again"))
    assert lemmata("run", "toy-growth", "--size", "smoke", "--out", "here") == 0
    capsys.readouterr()
    assert "power" in refusal(capsys, "run", "toy-growth", "--size", "smoke", "--out", "here", "--power", 0.3)


def test_axes_override_the_grid_and_new_ones_come_before_the_seed(tmp_path):
    command = ("run", "toy-growth", "--out", "here", "--n", 4, 16, 64, "--power", 0.5, 1, "--seeds", 3)
    assert lemmata(*command) == 0
    dataset = stored(tmp_path / "here")
    assert dict(dataset.growth.sizes) == {"n": 3, "power": 2, "seed": 3}
    assert lemmata("run", "toy-growth", "--out", "there", "--power", 1) == 0
    np.testing.assert_allclose(stored(tmp_path / "there").growth.sel(seed=0), [4, 9, 16])


def test_check_tells_a_failing_claim_by_its_exit_code(tmp_path, capsys):
    assert lemmata("run", "toy-growth") == 0
    assert lemmata("check", "toy-growth") == 0
    assert lemmata("run", "toy-growth", "--power", 0.8, "--out", "bad") == 0
    capsys.readouterr()
    assert lemmata("check", "bad") == 1
    assert "FAILS" in capsys.readouterr().out
    assert lemmata("check", "bad", "--markdown") == 1
    assert "| growth has exponent one half | 0.800 | 0.5 | ±0.05 | FAILS |" in capsys.readouterr().out


def test_show_draws_again_from_the_store(tmp_path, capsys):
    lemmata("run", "toy-growth", "--size", "smoke", "--out", "here")
    picture = tmp_path / "here" / "growth.png"
    picture.unlink()
    assert lemmata("show", "here") == 0
    assert picture.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "toy-growth", "--depth", "3"], ["'--depth 3'", "--n", "--power"]),
        (["run", "toy-growth", "--n", "1.5"], ["--n takes whole numbers", "1.5"]),
        (["run", "toy-growth", "--n", "4", "4"], ["twice"]),
        (["run", "toy-growth", "--size", "huge"], ["huge", "smoke, laptop, paper"]),
        (["run", "toy-growth", "--seeds", "0"], ["0 seeds", "1 or more"]),
        (["run", "toy-growth", "--seeds", "two"], ["two"]),
        (["run", "nothing"], ["nothing", "toy-growth"]),
        (["run", "toy-growth", "--executor", "cloud"], ["cloud", "serial"]),
        (["run", "toy-growth", "--out", "/proc/none"], ["/proc/none"]),
        (["run", "toy-growth", "--fail", "no luck"], ["no luck"]),
        (["check", "nowhere"], ["nowhere"]),
        (["check", "toy-growth"], ["results/toy-growth"]),
        (["show", "nowhere", "--fast"], ["--fast"]),
        ([], ["list", "run", "check", "show"]),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(capsys, tmp_path, arguments, words):
    error = refusal(capsys, *arguments)
    assert all(word in error for word in words), error
    if "no luck" not in words:
        assert not (tmp_path / "results").exists()


def test_an_unfinished_or_foreign_folder_is_refused(tmp_path, capsys):
    assert lemmata("run", "toy-growth", "--fail", "no luck", "--out", "half") == 2
    capsys.readouterr()
    assert "run it again" in refusal(capsys, "check", "half")
    (tmp_path / "foreign" / "data.zarr").mkdir(parents=True)
    (tmp_path / "foreign" / "data.zarr" / "zarr.json").write_text("{}")
    assert "foreign" in refusal(capsys, "run", "toy-growth", "--out", "foreign")
    assert "foreign" in refusal(capsys, "check", "foreign")


def test_a_fault_in_a_claim_is_not_passed_off_as_a_bad_request(monkeypatch):
    def faulty(dataset):
        raise ValueError("a mistake in the predicate")

    register(dataclasses.replace(TOY, claims=(Claim("faulty", "it is right", "derived here", faulty, registry.SIZES),)))
    with pytest.raises(ValueError, match="mistake"):
        lemmata("run", "toy-growth", "--size", "smoke")


def test_ctrl_c_is_one_sentence_and_130(capsys):
    assert lemmata("run", "toy-growth", "--fail", "interrupt") == 130
    error = capsys.readouterr().err.strip()
    assert error.startswith("lemmata: interrupted")
    assert "\n" not in error


def test_help_names_the_axes_of_the_experiment(capsys):
    with pytest.raises(SystemExit) as end:
        lemmata("run", "toy-growth", "--help")
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "--n INT ..." in text
    assert "square root of n" in text
