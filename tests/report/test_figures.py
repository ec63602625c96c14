"""Figures are read back: where cells, lines and labels are, not only that drawing does not fail."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import LogNorm
from PIL import Image

from lemmata.papers.benign_overfitting import theory as benign
from lemmata.report import style
from lemmata.report.curves import cloud, curves
from lemmata.report.maps import Scale, heat_map, threshold_map
from lemmata.report.statistics import seed_interval, t_quantile
from lemmata.report.style import axis_label, value_label
from tests.oracles.benign_tables import init_map, phase_diagram


def coordinate(values):
    return xr.DataArray(values, dims="x", name="x")


@pytest.fixture
def error():
    return seed_interval(phase_diagram().test_error.sel(v0=0.5), geometric=True)["mean"]


def test_scales_put_cells_where_their_values_are():
    linear = Scale.of(coordinate([10, 20, 40, 60]))
    assert linear.kind == "linear"
    np.testing.assert_allclose(linear.edges, [5, 15, 30, 50, 70])
    log = Scale.of(coordinate([1e3, 1e5, 1e7]))
    assert log.kind == "log"
    np.testing.assert_allclose(log.edges, [1e2, 1e4, 1e6, 1e8])
    for words in (["a", "b", "c"], [True, False], [3.0, 1.0, 2.0]):
        assert Scale.of(coordinate(words)).kind == "category"
    single = Scale.of(coordinate([0.5]))
    assert (single.edges[0], single.edges[1]) == (0.0, 1.0)


def test_axis_label_has_name_and_units():
    assert axis_label(xr.DataArray(0.0, name="n", attrs={"long_name": "samples", "units": "1"})) == "samples"
    assert axis_label(xr.DataArray(0.0, name="n", attrs={"units": "s"})) == "n (s)"
    assert value_label(coordinate([0.25]), 0.25) == "x = 0.25"
    assert value_label(coordinate(["adam"]), "adam") == "adam"


def test_heat_map_colours_the_right_cells_and_clips_honestly(error):
    figure, axes = style.new_figure()
    heat_map(axes[0, 0], error, "n", "signal", log_colour=True, limits=(1e-12, 0.5), title="claim")
    (mesh,) = axes[0, 0].collections
    shown = mesh.get_array()
    assert isinstance(mesh.norm, LogNorm)
    np.testing.assert_allclose(shown[0], error.transpose("signal", "n").values[0])
    assert shown.min() == 1e-12
    bar = figure.axes[1]
    assert bar.get_ylabel() == "test error (probability)"
    assert mesh.colorbar.extend == "min"
    assert axes[0, 0].get_title("left") == "claim"
    assert axes[0, 0].get_xlabel() == "training samples n"


def test_heat_map_hatches_left_out_cells_and_greys_missing_ones(error):
    _, axes = style.new_figure()
    hatched = error > 2
    hatched[1, 3] = True
    missing = error.copy()
    missing[0, 0] = np.nan
    heat_map(axes[0, 0], missing, "n", "signal", log_colour=True, hatched=hatched)
    (patch,) = axes[0, 0].patches
    assert patch.get_hatch() == "////"
    assert patch.get_x() <= error.n[1] <= patch.get_x() + patch.get_width()
    assert patch.get_y() <= error.signal[3] <= patch.get_y() + patch.get_height()
    assert axes[0, 0].collections[0].get_array().mask[0, 0]


def test_contours_and_predicted_lines_lie_where_the_theory_says(error):
    _, axes = style.new_figure()
    kappa = benign.kappa(error.n, error.signal, 2000).rename("κ")
    line = (benign.kappa_at_error(0.1) * 2000 / error.n) ** 0.25
    heat_map(
        axes[0, 0], error, "n", "signal", log_colour=True, contours=kappa, levels=[1, 10], lines={"predicted": line}
    )
    contour = axes[0, 0].collections[1]
    n, signal = np.concatenate(contour.get_paths()[0].to_polygons(closed_only=False)).T
    # Linear interpolation between cell centres bends the contour a little.
    np.testing.assert_allclose(benign.kappa(n, signal, 2000), 1.0, rtol=0.1)
    (drawn,) = axes[0, 0].get_lines()
    assert drawn.get_linestyle() == "--"
    np.testing.assert_allclose(drawn.get_ydata(), line)
    assert sorted(text.get_text() for text in axes[0, 0].texts) == ["κ = 1", "κ = 10"]


def test_threshold_map_has_two_colours(error):
    figure, axes = style.new_figure()
    threshold_map(axes[0, 0], error, "n", "signal", level=0.1, below="benign", above="harmful")
    shown = axes[0, 0].collections[0].get_array()
    np.testing.assert_array_equal(shown, (error.transpose("signal", "n") > 0.1))
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["benign\n≤ 0.1", "harmful\n> 0.1"]


def test_curves_draw_measurement_solid_and_theory_dashed():
    data = init_map().test_error
    theory = xr.full_like(data.isel(seed=0, drop=True), 0.1)
    _, axes = style.new_figure()
    curves(axes[0, 0], data, "v0", "init", log="xy", theory=theory)
    lines = axes[0, 0].get_lines()
    solid = [line for line in lines if line.get_linestyle() == "-"]
    dashed = [line for line in lines if line.get_linestyle() == "--"]
    assert len(solid) == data.init.size
    assert len(dashed) == data.init.size + 1  # and the one of the legend
    assert all(line.get_marker() != "None" for line in solid)
    np.testing.assert_allclose(solid[2].get_ydata(), np.exp(np.log(data.isel(init=2)).mean("seed")))
    said = [text.get_text() for text in axes[0, 0].get_legend().get_texts()]
    assert said[-2] == "predicted"
    assert said[-1].startswith("95 % interval of the mean")
    assert axes[0, 0].get_xscale() == axes[0, 0].get_yscale() == "log"


def test_a_cloud_shows_every_positive_cell_and_the_theory(error):
    _, axes = style.new_figure()
    kappa = benign.kappa(error.n, error.signal, 2000)
    reach = np.geomspace(0.01, 100, 20)
    theory = xr.DataArray(benign.error_from_kappa(reach), dims="kappa", coords={"kappa": reach})
    cloud(axes[0, 0], kappa, error, "n", log="xy", theory=theory, limits=(1e-12, 1))
    lines = axes[0, 0].get_lines()
    points = np.concatenate([line.get_xydata() for line in lines[:-1]])
    expected = np.stack([kappa.broadcast_like(error).values.ravel(), error.values.ravel()], axis=1)
    np.testing.assert_allclose(points[np.lexsort(points.T)], expected[np.lexsort(expected.T)])
    assert lines[-1].get_linestyle() == "--"
    assert len({(line.get_marker(), line.get_color()[:3].tobytes()) for line in lines[:-1]}) == error.n.size


def test_legends_lie_beside_the_data():
    figure, axes = style.new_figure()
    curves(axes[0, 0], init_map().test_error, "v0", "init", log="xy")
    figure.draw_without_rendering()
    legend = axes[0, 0].get_legend().get_window_extent()
    assert legend.x0 > axes[0, 0].get_window_extent().x1
    assert legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("width", [3.1, 5.2])
def test_long_titles_stay_on_the_canvas_and_off_the_panels(columns, width):
    title = "Averages of iterates: MEASURED methods as they come beside others at their best and one step off"
    figure, axes = style.new_figure(1, columns, title=title, width=width)
    figure.draw_without_rendering()
    (said,) = figure.texts
    box = said.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1
    assert all(ax.get_tightbbox().y1 <= box.y0 for ax in axes.flat)
    assert " ".join(figure.get_suptitle().split()) == title


def test_bands_are_explained_once_and_only_where_there_are_some():
    array = xr.DataArray(np.arange(12.0).reshape(4, 3), dims=("n", "seed"), coords={"n": [1, 2, 3, 4]})
    for seen, band, entries in ((array, True, 1), (array, False, 0), (array.isel(seed=[0]), True, 0)):
        ax = style.new_figure()[1][0, 0]
        curves(ax, seen, "n", band=band)
        curves(ax, seen + 1, "n", band=band)
        assert sum("95 %" in label for label in ax.get_legend_handles_labels()[1]) == entries
        assert (ax.get_legend() is not None) == bool(entries)


def test_wrong_dimensions_are_refused_with_the_remedy(error):
    _, axes = style.new_figure()
    with pytest.raises(ValueError, match="select or average"):
        heat_map(axes[0, 0], phase_diagram().test_error, "n", "signal")
    with pytest.raises(ValueError, match="select or average"):
        curves(axes[0, 0], phase_diagram().test_error, "n", "signal")


def test_seed_interval_against_a_loop():
    from scipy.stats import t

    data = init_map().test_error[:3, :2]
    data[0, 0, 1] = np.nan
    for geometric in (False, True):
        interval = seed_interval(data, geometric=geometric)
        for i in range(3):
            for j in range(2):
                values = [x for x in data.values[i, j] if np.isfinite(x)]
                values = np.log(values) if geometric else np.array(values)
                half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
                low, high = values.mean() - half, values.mean() + half
                expected = np.exp([low, high]) if geometric else (low, high)
                found = interval.isel(v0=i, init=j)
                np.testing.assert_allclose((found["low"], found["high"]), expected, rtol=2e-3)
    one = seed_interval(data.isel(seed=[0]))
    assert one["low"].isnull().all()
    np.testing.assert_array_equal(one["mean"], data.isel(seed=0))
    degrees = np.arange(1, 60)
    np.testing.assert_allclose(t_quantile(degrees), t.ppf(0.975, degrees), atol=5e-3)


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, error):
    figure, axes = style.new_figure(title="what it shows")
    heat_map(axes[0, 0], error, "n", "signal")
    path = style.save(figure, tmp_path / "new" / "map.png")
    with Image.open(path) as image:
        assert image.text["Title"] == "what it shows"
        assert image.text["Software"].startswith("lemmata")
        assert min(image.size) > 500
    before = path.read_bytes()
    figure.savefig = lambda *_, **__: (_ for _ in ()).throw(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        style.save(figure, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["map.png"]


def test_what_a_kill_left_of_a_figure_is_gone_after_the_next(tmp_path, error):
    code = (
        "import os, signal, sys; from pathlib import Path; from lemmata.report import style\n"
        "figure, _ = style.new_figure()\n"
        "figure.savefig = lambda file, **_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "style.save(figure, Path(sys.argv[1], 'map.png'))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    other = tmp_path / f".map.{os.getppid()}.figure.partial"  # of a process that is at work
    other.touch()
    style.save(style.new_figure()[0], tmp_path / "curves.png")
    assert not left.exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [other.name, "curves.png"]


def test_drawing_leaves_the_users_settings_alone(error):
    before = dict(matplotlib.rcParams)
    _, axes = style.new_figure()
    heat_map(axes[0, 0], error, "n", "signal")
    assert dict(matplotlib.rcParams) == before


def test_colours_stay_apart_in_grey():
    """Relative luminance rises along the map, and no curve is too pale for white paper."""
    luminance = matplotlib.colormaps[style.COLOUR_MAP](np.linspace(0, 1, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
    pale = [matplotlib.colors.to_rgb(colour) @ np.array([0.2126, 0.7152, 0.0722]) for colour in style.COLOURS]
    assert max(pale) < 0.72
    assert len(set(style.MARKERS)) >= len(style.COLOURS)
