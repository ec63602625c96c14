"""A run as one file: the same bytes again, whole without JavaScript, nothing from elsewhere, markup stays data."""

import re

import numpy as np
import pytest
import xarray as xr

from lemmata.claims import Verdict
from lemmata.report.page import Page
from lemmata.report.style import new_figure
from lemmata.report.views import view_of


def dataset():
    values = np.random.default_rng(0).uniform(size=(2, 3, 4))
    data = xr.Dataset({"error": (("n", "d", "seed"), values), "bound": (("n", "d"), values[..., 0])})
    return data.assign_coords(n=[10, 20], d=[1, 10, 100], seed=range(4))


def page(interactive=("", "")):
    verdict = Verdict(
        holds=False,
        claim="c",
        statement="a </script><b> claim",
        source="Someone 2024, abstract",
        measured="0.3 [0.1, 0.5]",
    )
    figure, _ = new_figure(title="A title")
    return Page(
        "name", "sentence", verdicts=[verdict], figures={"one": figure}, interactive=interactive[0],
        scripts=interactive[1], command="lemmata run name", configuration='{"a": "<script>"}',
    )  # fmt: skip


def test_a_page_is_whole_without_scripts_and_the_same_again():
    text = page().html()
    assert text == page().html()
    assert "<script" not in text.lower().replace("&lt;script", "")
    for word in ("FAILS", "0.3 [0.1, 0.5]", "a &lt;/script&gt;&lt;b&gt; claim", "data:image/png;base64,", "A title"):
        assert word in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_the_map_in_a_page_is_the_same_again_and_holds_the_numbers():
    pytest.importorskip("bokeh")
    from lemmata.report.interactive import interactive

    html, scripts = interactive(dataset())
    assert (html, scripts) == interactive(dataset())
    assert "<noscript>" in html
    text = page((html, scripts)).html()
    assert len(text) < 3e6
    mean = float(dataset().error.mean("seed")[1, 2])
    assert f"{mean:.6g}" in text
    assert "default-src 'none'" in text  # the browser asks no other host, whatever the library would like


def test_a_view_has_the_interval_over_seeds_and_the_limits_of_the_whole():
    data = dataset()
    view = view_of(data, "error")
    half = 3.1824 * data.error.std("seed", ddof=1) / 2
    np.testing.assert_allclose(view.mean, data.error.mean("seed"))
    np.testing.assert_allclose(view.half, half, rtol=5e-3)
    assert (view.low, view.high) == (view.mean.min(), view.mean.max())
    assert view_of(data, "error", seed=2, limits=(1e-12, 0.5)).low == -12
    assert np.isnan(view_of(data, "error", seed=2).half).all()
