"""Metadata edited, cut or swapped by hand: one sentence for every kind, and nothing written."""

import json
import warnings

import numpy as np
import pytest
import zarr

from lemmata.sweep import Grid, annotate, open_store, sweep
from lemmata.sweep.format import PROVENANCE
from tests.sweep.bodies import Toy

GRID = Grid.of(n=(10, 20), signal=(0.5, 1.0), seed=range(2))


class _Lost:
    """Stands for what is taken away; its text is the same in every process."""

    def __repr__(self):
        return "lost"


LOST = _Lost()
VALUES = {"lost": LOST, "null": None, "a list": [], "a dictionary": {}, "a number": 7, "a word": "x", "cut": "cut"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("hand") / "data.zarr"
    sweep(Toy(), GRID, path, progress=False)
    annotate(path, {"bound": 3.0}, {"experiment": "toy", "size": "smoke", "verdicts": "[]"})
    return path


def attribute(name, kind):
    def change(document):
        attributes, value = document["attributes"], VALUES[kind]
        if value is LOST:
            del attributes[name]
        else:
            attributes[name] = str(attributes[name])[:-1] if kind == "cut" else value

    return change


def entry(array, name, value):
    def change(document):
        where = (
            document["consolidated_metadata"]["metadata"][array] if "consolidated_metadata" in document else document
        )
        if value is LOST:
            del where[name]
        else:
            where[name] = value

    return change


def inside(name, key, value):
    """A change inside one of the attributes that are JSON text."""

    def change(document):
        text = json.loads(document["attributes"][name])
        if value is LOST:
            del text[key]
        else:
            text[key] = value
        document["attributes"][name] = json.dumps(text)

    return change


ATTRIBUTES = [*sorted(PROVENANCE - {"coordinates", "dtype", "seed_root"}), "experiment", "size", "verdicts"]
KINDS = {f"{name}: {kind}": ("zarr.json", attribute(name, kind)) for name in ATTRIBUTES for kind in VALUES}
KINDS |= {
    f"{name}.{key} {value!r:.20}": ("zarr.json", inside(name, key, value))
    for name, key, value in [
        ("sweep", "axes", {}),
        ("sweep", "axes", LOST),
        ("sweep", "order", ["n"]),
        ("sweep", "tile", LOST),
        ("sweep", "tile", [1, 1, 1]),
        ("sweep", "tile", "x"),
        ("sweep", "variables", {}),
        ("sweep", "variables", LOST),
        ("sweep", "coordinates", LOST),
        ("sweep", "stored", {"n": []}),
        ("configuration", "scale", 3.0),
        ("configuration", "scale", LOST),
        ("annotated", "variables", ["value"]),
        ("annotated", "variables", LOST),
        ("annotated", "attributes", LOST),
    ]
}
KINDS |= {
    f"{file}: {array} {name} {value!r}": (file, entry(array, name, value))
    for array in ("value", "done", "signal", "path")
    for file in ("zarr.json", f"{array}/zarr.json")
    for name, value in [
        ("shape", [3, 2, 2]),
        ("data_type", "int8"),
        ("fill_value", 0),
        ("dimension_names", ["a", "b", "c"]),
        ("codecs", []),
        ("attributes", {"units": "km"}),
        ("chunk_grid", LOST),
        ("zarr_format", 2),
    ]
}


def test_there_are_many_kinds():
    assert len(KINDS) >= 48


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_edited_is_refused_in_one_sentence(path, kind):
    file, change = KINDS[kind]
    before = (path / file).read_text()
    document = json.loads(before)
    change(document)
    after = json.dumps(document)
    if json.loads(before) == document:
        pytest.skip("says the same")
    (path / file).write_text(after)
    try:
        for use in (lambda: sweep(Toy(), GRID, path, repair=True, progress=False), lambda: open_store(path)):
            with pytest.raises(ValueError, match=str(path)) as caught:
                use()
            assert "\n" not in str(caught.value)
            assert str(caught.value).count("; ") == 1
        assert (path / file).read_text() == after
    finally:
        (path / file).write_text(before)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"attributes": []}', '{"attributes": {}}', "{", "7"])
def test_a_root_that_is_no_root_is_refused(path, text):
    before = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text)
    try:
        for use in (lambda: sweep(Toy(), GRID, path, progress=False), lambda: open_store(path)):
            with pytest.raises(
                ValueError, match=r"is truncated or unreadable|that no sweep of this version wrote"
            ) as e:
                use()
            assert "\n" not in str(e.value)
    finally:
        (path / "zarr.json").write_text(before)


def test_stores_of_format_one_are_named_as_such(path):
    before = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(before.replace("lemmata sweep 2", "lemmata sweep 1"))
    with pytest.raises(ValueError, match="was written by another version of lemmata, as 'lemmata sweep 1'; choose"):
        open_store(path)
    (path / "zarr.json").write_text(before)


def test_what_somebody_adds_beside_stays_and_harms_nothing(path):
    group = zarr.open_group(path, mode="r+")
    group.attrs["note"] = "mine"
    group.create_array("mine", data=np.array([1.0, 2.0]), dimension_names=("n",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path)
    found = open_store(path)
    np.testing.assert_array_equal(found.mine, [1.0, 2.0])
    assert found.attrs["note"] == "mine"
    assert float(annotate(path, {"bound": 4.0}).bound) == 4.0
    assert sweep(Toy(), GRID, path, progress=False).attrs["note"] == "mine"


def test_a_derived_variable_that_cannot_be_read_goes_when_it_is_run_again(path):
    annotate(path, {"bound": (("n",), [1.0, 2.0])})
    chunk = path / "bound/c/0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(ValueError, match="bound cannot be read; run again to have it written anew"):
        open_store(path)
    assert "bound" not in sweep(Toy(), GRID, path, progress=False)
    assert "bound" not in open_store(path)
