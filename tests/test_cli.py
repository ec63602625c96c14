"""The command line on a user's own file: what it prints, what it writes, and how it ends."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lemmata import cli

TOY = Path(__file__).parent / "oracles" / "toy_growth.py"
RUN = ("run", "./toy_growth.py")


@pytest.fixture(autouse=True)
def toy(tmp_path, monkeypatch):
    shutil.copy(TOY, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    yield
    sys.modules.pop("toy_growth", None)
    sys.modules.pop("mine", None)


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


def test_list_says_what_there_is_and_loads_no_experiment(capsys):
    assert lemmata("list") == 0
    text = capsys.readouterr().out
    for word in ("benign-overfitting", "2410.19139", "passes one", "laptop ≈ 20 s"):
        assert word in text
    code = (
        "import sys, lemmata.cli as c; c.main(['list']); "
        "sys.exit(not {'torch', 'matplotlib', 'xarray'}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_run_writes_data_figures_predictions_and_verdicts(tmp_path, capsys):
    assert lemmata(*RUN, "--size", "smoke") == 0
    text = capsys.readouterr().out
    for word in ("4 = 2 n × 2 seed", "growth has exponent one half", "holds", "not measurable", "growth.png"):
        assert word in text
    folder = tmp_path / "results" / "toy-growth"
    assert (folder / "growth.png").stat().st_size > 5000
    dataset = stored(folder)
    np.testing.assert_allclose(dataset.growth_predicted, [2, 3])
    assert dataset.growth.dims == ("n", "seed")
    assert (dataset.n.attrs["long_name"], dataset.n.attrs["units"]) == ("samples", "samples")
    assert float(dataset.power) == 0.5
    assert [v["holds"] for v in json.loads(dataset.attrs["verdicts"])] == [True, None]
    assert dataset.attrs["experiment_source"] == TOY.read_text()


def test_run_again_trains_nothing_and_another_configuration_is_refused(tmp_path, capsys):
    assert lemmata(*RUN, "--size", "smoke", "--out", "here") == 0
    before = (tmp_path / "here" / "data.zarr" / "growth").stat().st_mtime_ns
    assert lemmata(*RUN, "--size", "smoke", "--out", "here") == 0
    assert (tmp_path / "here" / "data.zarr" / "growth").stat().st_mtime_ns == before
    capsys.readouterr()
    assert "power" in refusal(capsys, *RUN, "--size", "smoke", "--out", "here", "--power", 0.3)


def test_axes_override_the_grid_and_new_ones_come_before_the_seed(tmp_path):
    assert lemmata(*RUN, "--out", "here", "--n", 4, 16, 64, "--power", 0.5, 1, "--seeds", 3) == 0
    dataset = stored(tmp_path / "here")
    assert dict(dataset.growth.sizes) == {"n": 3, "power": 2, "seed": 3}
    assert lemmata(*RUN, "--out", "there", "--power=1") == 0
    np.testing.assert_allclose(stored(tmp_path / "there").growth.sel(seed=0), [4, 9, 16])
    assert lemmata(*RUN, "--out", "spread", "--n", "log:4:64:3", "--power", "lin:-1:1:3") == 0
    assert stored(tmp_path / "spread").n.values.tolist() == [4, 16, 64]
    assert stored(tmp_path / "spread").power.values.tolist() == [-1, 0, 1]


def test_check_tells_a_failing_claim_by_its_exit_code(capsys):
    assert lemmata(*RUN) == 0
    assert lemmata("check", "results/toy-growth") == 0
    assert lemmata(*RUN, "--power", 0.8, "--out", "bad") == 0
    capsys.readouterr()
    assert lemmata("check", "bad") == 1
    assert "FAILS" in capsys.readouterr().out
    assert lemmata("check", "bad", "--markdown") == 1
    assert "| growth has exponent one half | 0.800 | 0.5 |" in capsys.readouterr().out


def test_check_and_show_only_read_and_find_the_experiment_in_the_store(tmp_path, capsys):
    lemmata(*RUN, "--size", "smoke", "--out", "here")
    (tmp_path / "here" / "growth.png").unlink()
    (tmp_path / "toy_growth.py").unlink()  # the store holds its source
    sys.modules.pop("toy_growth")
    folder = tmp_path / "here"
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    assert lemmata("check", "here") == 0
    assert lemmata("show", "here", "--out", "elsewhere") == 0
    assert (tmp_path / "elsewhere" / "growth.png").exists()
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")} == before
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*RUN, "--depth", "3"], ["--depth"]),
        ([*RUN, "--powr", "3"], ["--powr", "--power"]),
        ([*RUN, "--n", "1.5"], ["--n 1.5 was asked for", "whole number of at least 1"]),
        ([*RUN, "--n", "99999999999999999999"], ["--n", "whole number"]),
        ([*RUN, "--power", "inf"], ["--power inf was asked for", "finite"]),
        ([*RUN, "--n", "4", "4"], ["--n 4", "once"]),
        ([*RUN, "--n", "4", "--n", "9"], ["--n was given twice"]),
        ([*RUN, "--n"], ["--n was given no value"]),
        ([*RUN, "--fail", ""], ["--fail was given an empty value"]),
        ([*RUN, "--size", ""], ["--size was given an empty value"]),
        ([*RUN, "--size", "huge"], ["huge", "smoke, laptop, paper"]),
        ([*RUN, "--seeds", "0"], ["--seeds 0 was asked for", "at least 1"]),
        ([*RUN, "--seeds", "two"], ["--seeds two was asked for"]),
        (["run", "benign_overfiting"], ["benign_overfiting", "did you mean benign-overfitting?"]),
        (["run", "./nothing.py"], ["nothing.py", "lemmata new"]),
        ([*RUN, "--executor", "cloud"], ["cloud", "serial"]),
        ([*RUN, "--out", "/proc/none"], ["/proc/none"]),
        ([*RUN, "--fail", "no luck"], ["no luck"]),
        (["check", "nowhere"], ["nowhere"]),
        (["check", "benign-overfitting"], ["results/benign-overfitting"]),
        (["show", "nowhere", "--fast"], ["--fast"]),
        (["chek", "nowhere"], ["chek", "check"]),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(capsys, tmp_path, arguments, words):
    error = refusal(capsys, *arguments)
    assert all(word in error for word in words), error
    if "no luck" not in words:
        assert not (tmp_path / "results").exists()


def test_an_unfinished_or_foreign_folder_is_refused(tmp_path, capsys):
    assert lemmata(*RUN, "--fail", "no luck", "--out", "half") == 2
    capsys.readouterr()
    assert "run it again" in refusal(capsys, "check", "half")
    (tmp_path / "foreign" / "data.zarr").mkdir(parents=True)
    (tmp_path / "foreign" / "data.zarr" / "zarr.json").write_text("{}")
    assert "foreign" in refusal(capsys, *RUN, "--out", "foreign")
    assert "foreign" in refusal(capsys, "check", "foreign")


def test_a_fault_in_a_claim_is_not_passed_off_as_a_bad_request(tmp_path):
    text = TOY.read_text().replace("    return square_root(data)\n", '    raise ValueError("a mistake")\n')
    Path("mine.py").write_text(text.replace('sizes=("paper",)', "sizes=ALL"))
    with pytest.raises(ValueError, match="a mistake"):
        lemmata("run", "./mine.py", "--size", "smoke")


def test_ctrl_c_is_one_sentence_and_130(capsys):
    assert lemmata(*RUN, "--fail", "interrupt") == 130
    error = capsys.readouterr().err.strip()
    assert error.startswith("lemmata: interrupted")
    assert "\n" not in error


def test_help_says_what_each_size_takes(capsys):
    assert lemmata(*RUN, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--n INT ..." in text
    assert "samples; a whole number of at least 1 [smoke 4 9; laptop 4 9 16; paper 4 5 … 98]" in text
    assert "exponent" in text
    assert "square root of n" in text


def test_version_and_module():
    found = subprocess.run([sys.executable, "-m", "lemmata", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("lemmata, version ")


def test_new_writes_an_experiment_that_runs_as_it_is(tmp_path, capsys):
    assert lemmata("new", "my-first") == 0
    assert lemmata("run", "./my_first.py", "--size", "smoke", "--seeds", 2) == 0
    assert "with more samples the test error is smaller" in capsys.readouterr().out
    assert lemmata("check", "results/my-first") == 0
    assert "already there" in refusal(capsys, "new", "my_first")
    assert "lower case" in refusal(capsys, "new", "My Experiment")
    sys.modules.pop("my_first", None)


def test_workers_find_the_classes_of_a_users_file(tmp_path):
    assert lemmata(*RUN, "--size", "smoke", "--executor", "processes", "--out", "spread") == 0
    assert lemmata(*RUN, "--size", "smoke", "--out", "here") == 0
    xr.testing.assert_equal(stored(tmp_path / "spread").growth, stored(tmp_path / "here").growth)
