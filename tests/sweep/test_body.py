"""A body of three members; what is inherited; bodies around bodies; axes of the experimenter's choosing."""

import dataclasses
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import xarray

import lemmata as lm
from lemmata.parameters import parameter
from lemmata.sweep import Around, Axis, Body, Grid, Points, Variable, derived, plan, sweep
from tests.sweep.bodies import Toy


@dataclass(frozen=True)
class Walk(Body):
    """Three members: parameters, variables, run."""

    n: int = parameter("steps n", int, units="steps", least=1, default=10)
    drift: float = parameter("drift μ", units="m", per_cell=True, default=0.5)
    kind: str = parameter("kind of walk", str, choices=("up", "down"), default="up")
    label: str | None = parameter("a note", str, optional=True, default=None)
    variables: ClassVar = {"end": Variable(units="m", long_name="where it ends")}

    def run(self, points):
        sign = np.where(self.column(points, "kind") == "up", 1, -1)
        return {"end": sign * self.column(points, "drift") * self.column(points, "n") + self.column(points, "seed")}


def test_three_members_make_a_body(tmp_path):
    body = Walk()
    grid = Grid.of(n=(1, 2), drift=(0.5, 1.5), seed=range(3))
    assert body.shape_axes(grid) == ("n",)
    assert body.configuration() == {"kind": "Walk", "n": 10, "drift": 0.5, "label": None} | {"kind": "up"}
    found = sweep(body, grid, tmp_path / "data.zarr", progress=False)
    for n, drift, seed in [(1, 0.5, 0), (2, 1.5, 2)]:
        assert float(found.end.sel(n=n, drift=drift, seed=seed)) == drift * n + seed
    assert plan(body, grid).seconds < 1


def test_parameters_are_coordinates_with_label_and_units(tmp_path):
    sweep(Walk(), Grid.of(n=(1, 2), seed=range(2)), tmp_path / "data.zarr", progress=False)
    found = xarray.open_zarr(tmp_path / "data.zarr")
    assert found.n.attrs == {"units": "steps", "long_name": "steps n"}
    assert found.drift.dims == ()
    assert float(found.drift) == 0.5
    assert found.drift.attrs == {"units": "m", "long_name": "drift μ"}
    assert str(found.kind.values) == "up"
    assert "label" not in found.variables
    assert set(found.coords) == {"n", "seed", "drift", "kind"}
    assert set(found.data_vars) == {"end", "done"}
    own = sweep(Walk(), Grid((Axis("n", (1,), "km", "my own"), Axis("seed", (0,)))), progress=False)
    assert own.n.attrs == {"units": "km", "long_name": "my own"}


def test_changes_are_checked_replacements():
    body = Walk().at({"drift": 2.0})
    assert body.value("drift") == 2.0
    for changes, says in [
        ({"speed": 1.0}, "'speed' was asked for and Walk has no such parameter; it has drift, kind, label, n, seed"),
        ({"n": 0}, "n = 0 was asked for; n must be a whole number of at least 1"),
        ({"drift": float("inf")}, "drift = inf was asked for"),
        ({"kind": "left"}, "kind = 'left' was asked for"),
    ]:
        with pytest.raises(ValueError, match=says):
            body.at(changes)
        with pytest.raises(ValueError, match=r"axis 'drift' holds inf" if "inf" in says else says):
            plan(body, Grid.of(**{name: (value,) for name, value in changes.items()}))


def test_a_body_must_name_variables_and_run():
    @dataclass(frozen=True)
    class Half(Body):
        variables: ClassVar = {"x": Variable()}

    with pytest.raises(TypeError, match="run"):
        Half()


@dataclass(frozen=True)
class Doubled(Around):
    """Hands everything on but the results, which it scales by a parameter of its own."""

    factor: float = parameter("factor", per_cell=True, default=2.0)

    def run(self, points, scratch=None):
        inner = super().run(points)
        return {name: values * self.column(points, "factor") for name, values in inner.items()}


def test_a_body_around_another_hands_everything_on():
    body = Doubled(Walk())
    assert set(body.parameters()) == {*Walk().parameters(), "factor"}
    assert body.at({"factor": 3.0, "n": 4}) == Doubled(Walk(n=4), 3.0)
    assert body.configuration() == {**Walk().configuration(), "factor": 2.0}
    grid = Grid.of(n=(1, 2), factor=(1.0, 4.0), seed=(0,))
    assert body.shape_axes(grid) == ("n",)
    found = sweep(body, grid, progress=False)
    np.testing.assert_allclose(found.end.sel(seed=0), [[0.5, 2.0], [1.0, 4.0]])
    assert plan(body, grid).seconds >= 0


def at_ratio(ratio, *, n):
    """Drift from its ratio to 1/n."""
    return {"drift": ratio / n}


def test_own_axes_are_parameters_like_others_and_what_follows_is_stored(tmp_path):
    body = derived(Walk(), at_ratio, ratio=parameter("ratio ρ = nμ", above=0, units="m"))
    assert set(body.parameters()) == {"ratio", "n", "kind", "label", "seed"}
    grid = Grid.of(n=(1, 2), kind=("up", "down"), ratio=(1.0, 3.0), seed=(0, 1))
    sweep(body, grid, tmp_path / "data.zarr", progress=False)
    found = xarray.open_zarr(tmp_path / "data.zarr")
    assert found.drift.dims == ("n", "ratio")
    np.testing.assert_allclose(found.drift, [[1, 3], [0.5, 1.5]])
    assert found.drift.attrs == {"units": "m", "long_name": "drift μ"}
    assert found.ratio.attrs == {"units": "m", "long_name": "ratio ρ = nμ"}
    np.testing.assert_allclose(found.end.sel(kind="up", seed=0), [[1, 3], [1, 3]])
    assert json.loads(found.attrs["configuration"])["derived"] == {"by": "tests.sweep.test_body.at_ratio"}
    one = sweep(body.at({"ratio": 3.0}), Grid.of(seed=(0,)), progress=False)
    assert (float(one.ratio), float(one.drift), float(one.end[0])) == (3.0, 0.3, 3.0)


def shape_of_ratio(ratio, *, drift):
    return {"n": round(ratio / drift)}


def test_an_axis_that_computes_a_shape_is_a_shape_axis():
    body = derived(Walk(), shape_of_ratio, ratio=parameter("ratio", above=0))
    assert body.shape_axes(Grid.of(ratio=(1.0, 2.0), drift=(0.5, 1.0), seed=range(3))) == ("ratio", "drift")
    found = sweep(body, Grid.of(ratio=(1.0, 2.0), drift=(0.5, 1.0), seed=(0,)), progress=False)
    assert found.n.values.tolist() == [[2, 1], [4, 2]]
    np.testing.assert_allclose(found.end.sel(seed=0), [[1, 1], [2, 2]])


def test_axes_may_be_derived_from_derived_ones():
    body = derived(
        derived(Walk(), at_ratio, ratio=parameter("ratio", above=0)),
        lambda root: {"ratio": root**2},
        root=parameter("root of the ratio", above=0),
    )
    found = sweep(body, Grid.of(n=(1, 2), root=(1.0, 2.0), seed=(0,)), progress=False)
    np.testing.assert_allclose(found.ratio, [1, 4])
    np.testing.assert_allclose(found.drift, [[1, 4], [0.5, 2]])


def breaks(ratio):
    return {"drift": 1 / (ratio - 1)}


def strays(ratio):
    return {"speed": ratio}


@pytest.mark.parametrize(
    ("make", "grid", "says"),
    [
        (at_ratio, {}, "ratio is set nowhere; give it values on the grid, or one value to the body"),
        (at_ratio, {"ratio": (-1.0,)}, "ratio = -1.0 was asked for; ratio must be a finite number above 0"),
        (
            at_ratio,
            {"ratio": (1.0,), "drift": (1.0,)},
            "drift was asked for and is computed by .*at_ratio from ratio, n",
        ),
        (at_ratio, {"ratio": (1e30,), "n": (0,)}, "at ratio = 1e.30, n = 0|n = 0 was asked for"),
        (breaks, {"ratio": (1.0,)}, "breaks fails at ratio = 1.0 with ZeroDivisionError"),
        (strays, {"ratio": (1.0,)}, "strays returns 'speed', which is no parameter of the body"),
        (lambda ratio, *, mass: {}, {"ratio": (1.0,)}, "asks for 'mass', which neither it adds nor the body has"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, make, grid, says):
    def use():
        body = derived(Walk(), make, ratio=parameter("ratio", above=0))
        sweep(body, Grid.of(**grid, seed=(0,)), tmp_path / "data.zarr", progress=False)

    with pytest.raises(ValueError, match=says) as caught:
        use()
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_only_parameters_can_be_added():
    with pytest.raises(TypeError, match=r'write ratio=parameter\("what it is"\)'):
        derived(Walk(), at_ratio, ratio=3.0)
    with pytest.raises(ValueError, match="drift was asked for and is computed"):
        derived(Walk(), at_ratio, ratio=parameter("ratio", above=0, default=1.0)).at({"drift": 1.0})


def at_kappa(kappa, *, n, d, sigma_p):
    return {"signal": (kappa * sigma_p**4 * d / n) ** 0.25}


def test_axes_derived_from_a_run_batch_as_its_own_do():
    run = lm.Run(lm.SignalNoise(8, 100, 2.0), lm.TwoLayerCNN(2), steps=10)
    body = derived(run, at_kappa, kappa=parameter("κ = n‖μ‖⁴/(σp⁴d)", above=0, scale="log"))
    grid = Grid.of(n=(4, 8), d=(100, 10**6), kappa=(1.0, 2.0), seed=range(2))
    assert body.shape_axes(grid) == ("n",)
    found = sweep(body, grid, progress=False)
    assert found.signal.dims == ("n", "d", "kappa")
    assert float(found.sigma_p) == 1.0
    alone = lm.train(run.at({"n": 8, "d": 10**6, "signal": float(found.signal.sel(n=8, d=10**6, kappa=2.0))}), [1])
    cell = found.train_loss.sel(n=8, d=10**6, kappa=2.0, seed=1)
    np.testing.assert_allclose(cell, alone.records["train_loss"][0, 0], rtol=1e-10)


def test_points_off_the_grid(tmp_path):
    points = Points.of([{"n": 3, "drift": 1.0}, {"n": 2, "drift": 0.5}, {"n": 3, "drift": 2}], seeds=range(2))
    planned = plan(Walk(), points)
    assert [tile.sides for tile in planned.cut] == [((0, 2), range(2)), (range(1, 2), range(2))]
    found = sweep(planned, store=tmp_path / "data.zarr", progress=False)
    assert found.end.dims == ("point", "seed")
    assert found.end.values.tolist() == [[3, 4], [1, 2], [6, 7]]
    assert found.n.dims == found.drift.dims == ("point",)
    assert found.n.values.tolist() == [3, 2, 3]
    assert found.drift.attrs == {"units": "m", "long_name": "drift μ"}
    xarray.testing.assert_identical(found.load(), xarray.open_zarr(tmp_path / "data.zarr").load())
    alone = sweep(Walk(), Points.of(points.points), cells_per_tile=1, progress=False)
    assert alone.end.dims == ("point",)


def test_more_points_run_alone(tmp_path):
    path = tmp_path / "data.zarr"
    first = [{"n": 10 * k, "signal": 1.0 / k} for k in (1, 2, 3)]
    more = [{"n": 50, "signal": 1.0}, *first[::-1], {"n": 20, "signal": 2.0}]
    (tmp_path / "log").mkdir()
    body = Toy(log=str(tmp_path / "log"))
    sweep(body, Points.of(first, seeds=range(2)), path, progress=False)
    ran = len(list((tmp_path / "log").iterdir()))
    grown = sweep(body, Points.of(more, seeds=range(2)), path, progress=False)
    assert len(list((tmp_path / "log").iterdir())) == ran + 2
    whole = sweep(Toy(), Points.of(more, seeds=range(2)), progress=False)
    assert grown.load().equals(whole)


@pytest.mark.parametrize(
    ("points", "seeds", "says"),
    [
        ([], (), "needs a point"),
        ([{}], (), "needs a point with a parameter"),
        ([{"n": 1}, {"m": 1}], (), "point 1 has m and point 0 has n"),
        ([{"n": 1}, {"n": 1}], (), "point 1 is point 0 again"),
        ([{"n": 1, "seed": 1}], (1,), "seed is given in the points and as seeds"),
        ([{"done": 1}], (), "keeps this name"),
        ([{"n": 1}, {"n": "a"}], (), "mixes"),
        ([{"n": 0}], (), "n = 0 was asked for"),
    ],
)
def test_bad_points_are_refused_in_one_sentence(points, seeds, says):
    with pytest.raises(ValueError, match=says):
        plan(Walk(), Points.of(points, seeds))


def test_a_plan_is_found_once_and_handed_on(monkeypatch):
    planned = plan(Walk(), Grid.of(n=(1, 2), seed=range(3)), workers=2)
    assert planned.configuration["n"] == 10
    monkeypatch.setattr(Walk, "estimate_seconds", lambda *_: 1 / 0)
    monkeypatch.setattr(Walk, "check", lambda *_: 1 / 0)
    assert sweep(planned, progress=False).end.shape == (2, 3)
    with pytest.raises(TypeError, match="give the plan alone"):
        sweep(planned, Grid.of(seed=(0,)), progress=False)
    assert dataclasses.replace(planned, workers=1).tiles == planned.tiles
