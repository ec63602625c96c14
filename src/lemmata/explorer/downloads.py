"""What a page hands out of the dataset that it shows: tables, stores, figures as the house draws them."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lemmata.lab.run_folder import drawn
from lemmata.report.page import png
from lemmata.report.style import styled


def csv(dataset: xr.Dataset, experiment: Any) -> bytes:
    """One line per cell, and per step where there are several."""
    main = [name for name, array in dataset.data_vars.items() if array.dims]
    frame = dataset[main].reset_coords(drop=True).to_dataframe()
    return frame.to_csv().encode()


def netcdf(dataset: xr.Dataset, experiment: Any) -> bytes:
    """As NetCDF 3, which scipy reads and writes: texts are plain, truth values are 0 and 1."""
    plain = dataset.copy()
    for name, array in plain.variables.items():
        if array.dtype.kind == "b":
            plain[name] = plain[name].astype("int8")
        elif array.dtype.kind not in "fiu":
            plain[name] = (array.dims, np.array(array.values.tolist()), array.attrs)
        elif array.dtype == "int64":
            plain[name] = plain[name].astype("float64")  # NetCDF 3 has no long integers
    return bytes(plain.to_netcdf(engine="scipy"))


def zarr(dataset: xr.Dataset, experiment: Any) -> bytes:
    """A zipped Zarr group, as a run's own store."""
    with TemporaryDirectory(prefix="lemmata-") as folder:
        root = Path(folder) / "data.zarr"
        dataset.to_zarr(root, zarr_format=3, consolidated=True)
        files = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    return _zipped(files)


def pngs(dataset: xr.Dataset, experiment: Any) -> bytes:
    """The experiment's figures as PNG, zipped."""
    return _zipped({f"{name}.png": png(figure, dpi=180) for name, figure in drawn(experiment, dataset).items()})


def svgs(dataset: xr.Dataset, experiment: Any) -> bytes:
    """The experiment's figures as SVG, zipped."""
    return _zipped({f"{name}.svg": _svg(figure) for name, figure in drawn(experiment, dataset).items()})


KINDS: Mapping[str, tuple[str, str, Callable[[xr.Dataset, Any], bytes]]] = {
    "csv": ("CSV", "cells.csv", csv),
    "netcdf": ("netCDF", "data.nc", netcdf),
    "zarr": ("Zarr, zipped", "data.zarr.zip", zarr),
    "png": ("figures, PNG", "figures-png.zip", pngs),
    "svg": ("figures, SVG", "figures-svg.zip", svgs),
}
"""By the name in an address: what a link says, the name of the file, and what makes it."""


@styled
def _svg(figure: Figure) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return written.getvalue()
