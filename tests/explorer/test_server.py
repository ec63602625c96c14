"""The server without a browser: who is let in, what a page does when its widgets change, what it hands out."""

import asyncio
import io
import zipfile

import click
import numpy as np
import pytest
import xarray as xr
from bokeh.document import Document
from bokeh.models.widgets import Select, Slider

from lemmata.commands import run as run_command
from lemmata.explorer.downloads import KINDS
from lemmata.explorer.server import Explorer
from lemmata.explorer.stored import Stored
from lemmata.lab.command_line import changes_of, command_line
from lemmata.lab.find import find
from lemmata.lab.run_folder import DATA, conclude, conclusions
from lemmata.report.views import view_of
from lemmata.sweep import sweep


@pytest.fixture(scope="module")
def experiment():
    return find("benign-overfitting")


@pytest.fixture(scope="module")
def folder(experiment, tmp_path_factory):
    made = tmp_path_factory.mktemp("run")
    body, grid = experiment.configure("smoke", {"steps": 40, "v0": (0.005, 0.5)}, 2)
    sweep(body, grid, made / DATA, progress=False)
    conclude(experiment, "smoke", made)
    return made


def select(document, title):
    return next(model for model in document.select({"type": Select}) if model.title == title)


def fetch(port, *requests):
    """Status, headers and body of each request, from a server that runs in this thread meanwhile."""
    from tornado.httpclient import AsyncHTTPClient, HTTPRequest

    async def all_of_them():
        client = AsyncHTTPClient()
        return [
            await client.fetch(
                HTTPRequest(f"http://127.0.0.1:{port}{path}", headers=headers, follow_redirects=False),
                raise_error=False,
            )
            for path, headers in requests
        ]

    return all_of_them


def test_only_the_key_of_this_start_opens_the_page(folder):
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    explorer = Explorer(Stored(folder).page)
    key, port = explorer.key, explorer.port
    asked = [
        ("/", {}),
        ("/?key=wrong", {}),
        (f"/?key={key}", {"Host": f"evil.example:{port}"}),
        (f"/?key={key}", {}),
        ("/", {"Cookie": f"lemmata-{port}={key}"}),
        ("/download/guessed/csv", {}),
        (f"/download/guessed/csv?key={key}", {}),
    ]

    cookie = f"lemmata-{port}={key}"

    async def everything():
        answers = await fetch(port, *asked)()
        assert [answer.code for answer in answers] == [403, 403, 400, 200, 200, 403, 404]
        page = answers[3]
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert key not in page.body.decode()
        slot = next(iter(explorer.slots))
        path = f"/download/{slot}"
        files = await fetch(port, (f"{path}/csv?key={key}", {}), (f"{path}/exe?key={key}", {}))()
        assert [answer.code for answer in files] == [200, 404]
        assert files[0].body.startswith(b"v0,n,signal")
        for origin in ("http://evil.example", f"http://127.0.0.1:{port + 1}"):
            request = HTTPRequest(f"ws://127.0.0.1:{port}/ws", headers={"Origin": origin, "Cookie": cookie})
            with pytest.raises(Exception, match="403"):
                await websocket_connect(request)
        with pytest.raises(ConnectionRefusedError):  # another address of this machine
            await asyncio.open_connection("127.0.0.2", port)

    explorer.server.start()
    try:
        explorer.server.io_loop.run_sync(everything)
    finally:
        explorer.server.stop()


def test_a_stored_run_over_any_axes(folder):
    stored, document = Stored(folder), Document()
    stored.page(document, {})
    cells = next(iter(document.select({"name": "cells"})))
    assert len(cells.data["x"]) == 3 * 4
    select(document, "x axis").value = "v0"
    select(document, "y axis").value = "signal"
    assert len(cells.data["x"]) == 2 * 4
    select(document, "variable").value = "train_loss"
    select(document, "seeds").value = "1"
    slider = next(s for s in document.select({"type": Slider}) if s.title.startswith("training samples"))
    slider.value = 2
    expected = stored.dataset.train_loss.isel(n=2).sel(seed=1).transpose("signal", "v0")
    assert cells.data["mean"] == [f"{value:.4g}" for value in expected.values.ravel()]
    assert set(cells.data["interval"]) == {"one seed"}
    select(document, "variable").value = "kappa"  # which does not depend on v0
    assert select(document, "x axis").value != "v0"


def test_cells_that_have_not_run_are_missing(folder):
    dataset = Stored(folder).dataset.copy(deep=True)
    dataset["done"][0, 0] = False
    view = view_of(dataset, "test_error")
    assert np.isnan(view.mean[0, 0]).all()
    assert np.isfinite(view.mean[1]).all()
    assert (view.count[0, 0] == 0).all()


def test_downloads_open_again(experiment, folder, tmp_path):
    dataset = Stored(folder).dataset
    made = {kind: make(dataset, experiment) for kind, (_, _, make) in KINDS.items() if kind != "png"}
    assert made["csv"].count(b"\n") == dataset.test_error.size + 1
    (tmp_path / "data.nc").write_bytes(made["netcdf"])
    zipfile.ZipFile(io.BytesIO(made["zarr"])).extractall(tmp_path / "data.zarr")
    again = (xr.open_dataset(tmp_path / "data.nc", engine="scipy"), xr.open_zarr(tmp_path / "data.zarr", chunks=None))
    for found in again:
        np.testing.assert_array_equal(found.test_error, dataset.test_error)
        assert found.n.attrs["long_name"] == dataset.n.attrs["long_name"]
    assert zipfile.ZipFile(io.BytesIO(made["svg"])).namelist() == ["phase_diagram.svg", "collapse.svg"]


def test_the_command_line_runs_the_same_grid(experiment, folder, monkeypatch):
    dataset = Stored(folder).dataset
    changes, seeds = changes_of(experiment, "smoke", dataset)
    assert (changes, seeds) == ({"steps": 40}, 2)
    changes = {**changes, "signal": (1.0, 0.1 + 0.2), "d": 10**9, "shuffle_patches": True}
    words = command_line(experiment, "smoke", changes, seeds).split()
    heard = {}
    monkeypatch.setattr(run_command, "_run", lambda found, given: heard.update(given) or 0)
    run_command.command.main(words[2:], standalone_mode=False)
    known = experiment.parameters()
    values = {name: run_command._values(name, known[name], heard[name]) for name in known if heard.get(name)}
    asked = experiment.configure(heard["size"], values, int(heard["seeds"]))
    assert asked == experiment.configure("smoke", changes, seeds)
    assert isinstance(run_command.command, click.Group)


def test_conclusions_in_memory_are_those_of_the_store(experiment, folder):
    measured = xr.open_zarr(folder / DATA, chunks=None)
    _, verdicts = conclusions(experiment, measured.drop_vars("kappa"), "smoke")
    assert [v.claim for v in verdicts] == [claim.name for claim in experiment.claims]
