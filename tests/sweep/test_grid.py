import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemmata.sweep import Axis, Grid
from lemmata.sweep.tile import TILE_BYTES, cut, tile_shape
from tests.sweep.bodies import Toy


def test_a_grid_is_the_product_of_its_axes_last_axis_fastest():
    grid = Grid.of(n=(10, 20), act=("relu", "gelu"), signal=(1, 2.5), seed=range(3))
    assert (grid.shape, grid.cells, grid.names) == ((2, 2, 2, 3), 24, ("n", "act", "signal", "seed"))
    assert grid.dims == {"n": 2, "act": 2, "signal": 2, "seed": 3}
    assert grid.point((1, 0, 1, 2)) == {"n": 20, "act": "relu", "signal": 2.5, "seed": 2}
    assert type(grid.point((0, 0, 0, 0))["signal"]) is float


def test_values_become_plain_python_whatever_array_they_came_in():
    axis = Axis("n", tuple(np.arange(3)))
    assert [type(value) for value in axis.values] == [int] * 3
    assert Grid.of(signal=np.linspace(0, 1, 3)).axes[0].values == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Grid(()), ValueError, "a grid needs an axis"),
        (lambda: Grid.of(), ValueError, "a grid needs an axis"),
        (lambda: Grid.of(n=()), ValueError, "axis 'n' has no values"),
        (lambda: Grid.of(n=(1, 2, 1)), ValueError, "axis 'n' holds 1 twice"),
        (lambda: Grid.of(n=(1, 1.0)), ValueError, "axis 'n' holds 1.0 twice"),
        (lambda: Grid((Axis("n", (1,)), Axis("n", (2,)))), ValueError, "axis 'n' was given twice"),
        (lambda: Grid.of(n=(1, float("nan"))), ValueError, "axis 'n' holds nan"),
        (lambda: Grid.of(n=(1, float("inf"))), ValueError, "axis 'n' holds inf"),
        (lambda: Grid.of(n=(1, "a")), ValueError, "mixes float, str"),
        (lambda: Grid.of(n=(True, 2)), ValueError, "mixes bool, float"),
        (lambda: Grid.of(n=(2**63,)), ValueError, "beyond 64-bit"),
        (lambda: Grid.of(n=3), TypeError, r"write n=\(3,\)"),
        (lambda: Grid.of(act="relu"), TypeError, r"write act=\('relu',\)"),
        (lambda: Grid.of(n=(None,)), TypeError, "got None"),
        (lambda: Axis("done", (1,)), ValueError, "keeps this name"),
        (lambda: Axis("learning rate", (1,)), ValueError, "named like a parameter"),
    ],
)
def test_bad_grids_are_refused_in_one_sentence(make, error, says):
    with pytest.raises(error, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    shape_axes=st.sets(st.integers(0, 3)),
    cells_per_tile=st.integers(1, 40),
)
def test_tiles_cover_every_cell_once_and_hold_one_shape(lengths, shape_axes, cells_per_tile):
    names = [("m", "n")[i % 2] if i in shape_axes and i < 2 else f"v{i}" for i in range(len(lengths))]
    grid = Grid(tuple(Axis(name, tuple(range(length))) for name, length in zip(names, lengths)))
    shape = tile_shape(Toy(), grid, cells_per_tile)
    seen = np.zeros(grid.shape, int)
    for number, tile in enumerate(cut(grid, shape)):
        seen[tile.region] += 1
        assert tile.index == number
        assert tile.cells == len(tile.points) <= cells_per_tile
        for name in Toy().shape_axes(grid):
            assert len({point[name] for point in tile.points}) == 1
        corner = np.array([side.start for side in tile.region])
        assert tile.points[0] == grid.point(corner)
    assert (seen == 1).all()


def test_by_default_tiles_fit_in_memory_and_there_are_about_thirty_two():
    def cells(grid):
        return np.prod(tile_shape(Toy(), grid))

    assert cells(Grid.of(signal=range(4096))) == 128  # 32 tiles
    assert cells(Grid.of(signal=range(100))) == 50  # two of 50: not below 64 for the sake of progress, then evened
    assert cells(Grid.of(n=(1, TILE_BYTES // 4000), signal=range(100))) == 4  # the largest shape decides
    assert cells(Grid.of(n=(TILE_BYTES,), signal=range(100))) == 1


@pytest.mark.parametrize("cells_per_tile", [0, -3, 2.5, True])
def test_cells_per_tile_must_be_a_positive_integer(cells_per_tile):
    with pytest.raises(ValueError, match="cells_per_tile is"):
        tile_shape(Toy(), Grid.of(seed=range(3)), cells_per_tile)
