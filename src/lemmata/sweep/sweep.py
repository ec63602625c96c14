"""Run every tile of a grid once, wherever there is room, and gather the results in one labelled dataset."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from lemmata.sweep.as_body import as_body
from lemmata.sweep.body import Body, run_tile
from lemmata.sweep.executors import check, resolve
from lemmata.sweep.location import local_folder, scratch_folder
from lemmata.sweep.memory import Memory
from lemmata.sweep.plan import Plan, plan
from lemmata.sweep.pool import Pool
from lemmata.sweep.progress import Report
from lemmata.sweep.sendable import check_sendable
from lemmata.sweep.store import Store, open_sweep
from lemmata.sweep.tile import Cells, Tile

DEATHS = 2
"""Workers of ours that may die while a tile is in flight, before it is given up."""


class SweepError(RuntimeError):
    """A tile could not be run or stored; the message says which, and the tiles finished before it are kept."""


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C; the message says how much is kept."""


def sweep(
    body: Plan | Body | Any,
    grid: Cells | None = None,
    store: str | Path | None = None,
    *,
    executor: str | Executor | None = None,
    cells_per_tile: int | None = None,
    progress: bool = True,
    repair: bool = False,
    mix_versions: bool = False,
) -> xarray.Dataset:
    """Run the body at every point of the grid.

    Tiles are independent and each is stored when it finishes, so a sweep that is killed, interrupted or has failed
    goes on where it was when called again with the same arguments; a finished one runs nothing, and one whose grid has
    got more values on any axis, or more points, runs those alone. The dataset does not depend on ``executor`` or
    ``cells_per_tile``.

    Args:
        body: what runs: a :class:`~lemmata.Run`, a body of your own, see :class:`~lemmata.sweep.Body`, or a
            :class:`~lemmata.sweep.Plan`, which holds its grid.
        grid: the points, a :class:`~lemmata.Grid` or :class:`~lemmata.sweep.Points`.
        store: folder of the Zarr group, made if it does not exist; ``None`` keeps everything in memory.
        executor: ``None`` or ``"serial"`` (in this process), ``"processes"`` (one per core), ``"tcp://HOST:PORT"``
            (a Dask scheduler), or any ``concurrent.futures.Executor``. With ``"processes"`` a script must guard its
            main part with ``if __name__ == "__main__":``.
        cells_per_tile: most cells to batch; ``None`` fits tiles in 256 MB each, about 32 of them, see
            :func:`~lemmata.sweep.tile.tile_shape`.
        progress: show a bar on a terminal, elsewhere a line every half minute; ``False`` shows nothing.
        repair: compute tiles of the store again whose data are lost or fail their checksum, instead of refusing.
        mix_versions: go on with a store begun under another minor version of lemmata.

    Returns:
        Dataset with the grid's dimensions first, the body's variables, ``done``, every parameter as a coordinate, and
        attributes that say what ran. Read lazily from ``store`` where there is one.

    Raises:
        ValueError, TypeError: the body, the grid or the arguments do not fit; the store holds something else.
        OSError: the store cannot be written; the scheduler does not answer.
        SweepError: a tile failed or a worker died.
        SweepInterrupted: Ctrl-C.
    """
    options: dict[str, Any] = {"executor": executor, "cells_per_tile": cells_per_tile, "progress": progress}
    dataset = None
    for event in _events(body, grid, store, repair=repair, mix_versions=mix_versions, **options):
        dataset = event if isinstance(event, xarray.Dataset) else None
    assert dataset is not None  # the last event
    return dataset


def each_tile(
    body: Plan | Body | Any, grid: Cells | None = None, store: str | Path | None = None, **options: Any
) -> Iterator[tuple[Tile, dict[str, np.ndarray]]]:
    """:func:`sweep`, tile by tile as they finish: each with its arrays ``(c, *dims)``, cells as in ``tile.points``.

    Takes what :func:`sweep` takes. Tiles stored by an earlier sweep do not come again. Closing the iterator ends the
    sweep; what came is kept where there is a store.
    """
    for event in _events(body, grid, store, **options):
        if not isinstance(event, xarray.Dataset):
            yield event


def _events(
    body: Any,
    grid: Cells | None,
    store: str | Path | None,
    *,
    executor: str | Executor | None = None,
    cells_per_tile: int | None = None,
    progress: bool = True,
    repair: bool = False,
    mix_versions: bool = False,
) -> Iterator[Any]:
    """Every tile with its arrays, then the dataset."""
    check(executor)
    planned = _planned(body, grid, cells_per_tile)
    path = None if store is None else local_folder(store)
    if executor == "processes":
        check_sendable(planned.body)
    # The scheduler is asked before the store is made, so that a wrong address leaves nothing behind.
    opening = open_sweep(planned, path, cells_per_tile, repair=repair, mix_versions=mix_versions)
    with resolve(executor) as pool, opening as target:
        pending = target.pending()
        if pending:
            started = time.monotonic()
            with Report(planned.cells, planned.cells - sum(tile.cells for tile in pending), progress) as report:
                session = _Session(target, report, pool)
                try:
                    yield from session.run(pending)
                except BaseException:
                    with suppress(OSError):  # a full disk is told of already
                        target.end_session(time.monotonic() - started)
                    raise
            try:
                target.end_session(time.monotonic() - started)
            except OSError as error:
                raise session.unwritten(error) from error
        if path is not None:
            shutil.rmtree(scratch_folder(path), ignore_errors=True)
        yield target.dataset()


def _planned(body: Any, grid: Cells | None, cells_per_tile: int | None) -> Plan:
    if not isinstance(body, Plan):
        return plan(as_body(body), grid, cells_per_tile=cells_per_tile)  # type: ignore[arg-type]
    if grid is not None or cells_per_tile is not None:
        raise TypeError("a plan was given together with a grid or cells_per_tile, which it holds; give the plan alone")
    return body


class _Session:
    """Running tiles, writing results as they come, and saying what is kept when they no longer do.

    A tile is written by a thread of its own while the next one runs, one tile at a time.
    """

    def __init__(self, target: Store | Memory, report: Report, pool: Pool) -> None:
        self.target, self.report, self.pool = target, report, pool
        self.body = target.plan.body
        self.writer = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None
        self.flying: dict[Future[Any], Tile] = {}
        self.deaths: dict[int, int] = {}

    def run(self, pending: list[Tile]) -> Iterator[tuple[Tile, dict[str, np.ndarray]]]:
        """Keep no more tiles in flight than there is room for, as a finished one waits in memory to be stored."""
        queue = list(reversed(pending))
        try:
            while queue or self.flying:
                try:
                    while queue and len(self.flying) < self.pool.room():
                        self._submit(queue[-1])
                        queue.pop()
                    landed = self._wait()
                except Exception as error:  # found broken when the next tile was submitted
                    self._replace(error, queue)
                    continue
                # Failures last: what finished beside a failed tile is stored all the same.
                for future in sorted(landed, key=_failed):
                    if future in self.flying:
                        found = self._land(future, queue)
                        if found is not None:
                            yield found
            self._flush()
        except KeyboardInterrupt:
            raise SweepInterrupted(f"interrupted: {self._kept()}") from None
        finally:
            for future in self.flying:
                future.cancel()
            self.writer.shutdown()

    def _submit(self, tile: Tile) -> None:
        future = self.pool.executor.submit(run_tile, self.body, tile.points, self._scratch(tile))
        self.flying[future] = tile

    def _wait(self) -> set[Future[Any]]:
        while True:
            landed, _ = wait(self.flying, timeout=self.pool.look_seconds, return_when=FIRST_COMPLETED)
            if landed:
                return landed
            if lost := self.pool.lost():
                raise SweepError(f"{lost}; {self._kept()}")

    def _land(self, future: Future[Any], queue: list[Tile]) -> tuple[Tile, dict[str, np.ndarray]] | None:
        tile = self.flying[future]
        try:
            arrays = future.result()
        except Exception as error:
            if self.pool.blame(error):
                self._replace(error, queue)
                return None
            del self.flying[future]
            raise SweepError(f"{tile} failed with {type(error).__name__}: {error}; {self._kept()}") from error
        del self.flying[future]
        self._flush()
        self.writing = self.writer.submit(self._keep, tile, arrays)
        return tile, arrays

    def _replace(self, error: Exception, queue: list[Tile]) -> None:
        """Send what was in flight again, to workers in place of those that died; or say what died."""
        if isinstance(error, SweepError):
            raise error
        blamed = self.pool.blame(error)
        if not blamed:
            raise error
        for tile in self.flying.values():
            self.deaths[tile.index] = self.deaths.get(tile.index, 0) + 1
        again = all(self.deaths[tile.index] < DEATHS for tile in self.flying.values())
        if not again or not self.pool.renew():
            # A library's own traceback of a broken connection says nothing more.
            raise SweepError(f"{blamed}; {self._kept()}") from (error if isinstance(error, BrokenExecutor) else None)
        queue.extend(self.flying.values())
        self.flying.clear()

    def _flush(self) -> None:
        """Wait until the last tile handed over is stored."""
        if self.writing is not None:
            writing, self.writing = self.writing, None
            try:
                writing.result()
            except OSError as error:
                raise self.unwritten(error) from error

    def unwritten(self, error: OSError) -> SweepError:
        """What is said when results cannot be written any more."""
        kept = self._kept().replace("run again", "make room and run again")
        return SweepError(f"cannot write {self.target.path} ({error.strerror or error}); {kept}")

    def _keep(self, tile: Tile, arrays: dict[str, Any]) -> None:
        self.target.write(tile, arrays)
        if (scratch := self._scratch(tile)) is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        self.report.advance(tile.cells)

    def _scratch(self, tile: Tile) -> Path | None:
        return scratch_folder(self.target.path, tile) if self.target.path and self.body.wants_scratch else None

    def _kept(self) -> str:
        if self.target.path is None:
            return "nothing is kept without a store, give one to be able to resume"
        self._flush()
        total = self.target.tiles
        kept = total - len(self.target.pending())
        return f"{kept} of {total} tiles are kept in {self.target.path}, run again to resume"


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None
