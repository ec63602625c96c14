"""Run every tile of a grid once, wherever there is room, and gather the results in one labelled dataset."""

import pickle
import shutil
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import xarray

from lemmata.sweep.as_body import as_body
from lemmata.sweep.body import Body, check_body, run_tile, wants_scratch
from lemmata.sweep.executors import check, resolve
from lemmata.sweep.grid import Grid
from lemmata.sweep.progress import Report
from lemmata.sweep.store import Store, open_sweep, scratch_folder
from lemmata.sweep.tile import Tile


class SweepError(RuntimeError):
    """A tile could not be run; the message says which, and the tiles finished before it are kept."""


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C; the message says how much is kept."""


def sweep(
    body: Body | Any,
    grid: Grid,
    store: str | Path | None = None,
    *,
    executor: str | Executor | None = None,
    cells_per_tile: int | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Run the body at every point of the grid.

    Tiles are independent and each is stored when it finishes, so a sweep that is killed, interrupted or has failed
    goes on where it was when called again with the same arguments; a finished one runs nothing. The dataset does not
    depend on ``executor`` or ``cells_per_tile``.

    Args:
        body: what runs: a :class:`~lemmata.Run`, or a body of your own, see :class:`~lemmata.sweep.Body`.
        grid: the points.
        store: folder of the Zarr group, made if it does not exist; ``None`` keeps everything in memory.
        executor: ``None`` or ``"serial"`` (in this process), ``"processes"`` (one per core), ``"tcp://HOST:PORT"``
            (a Dask scheduler), or any ``concurrent.futures.Executor``. With ``"processes"`` a script must guard its
            main part with ``if __name__ == "__main__":``.
        cells_per_tile: most cells to batch; ``None`` fits tiles in 256 MB each, about 32 of them, see
            :func:`~lemmata.sweep.tile.tile_shape`.
        progress: show a bar on a terminal, elsewhere a line every half minute; ``False`` shows nothing.

    Returns:
        Dataset with the grid's dimensions first, the body's variables, ``done``, and attributes that say what ran.
        Read lazily from ``store`` where there is one.

    Raises:
        ValueError, TypeError: the body, the grid or the arguments do not fit; the store holds something else.
        OSError: the store cannot be written; the scheduler does not answer.
        SweepError: a tile failed or a worker died.
        SweepInterrupted: Ctrl-C.
    """
    check(executor)
    body = as_body(body)
    check_body(body, grid)
    if executor == "processes":
        _check_pickle(body)
    # The scheduler is asked before the store is made, so that a wrong address leaves nothing behind.
    with resolve(executor) as (pool, room), open_sweep(body, grid, store, cells_per_tile) as target:
        pending = target.pending()
        started = time.monotonic()
        try:
            if pending:
                with Report(grid.cells, grid.cells - sum(tile.cells for tile in pending), progress) as report:
                    _run(_Session(body, target, store, report), pending, pool, room)
        finally:
            if pending:
                target.add_wall_time(time.monotonic() - started)
        if store is not None:
            shutil.rmtree(scratch_folder(store), ignore_errors=True)
        return target.dataset()


class _Session:
    """Writing results as they come, and saying what is kept when they no longer do.

    A tile is written by a thread of its own while the next one runs, one tile at a time.
    """

    def __init__(self, body: Body, target: Store, path: str | Path | None, report: Report) -> None:
        self.body, self.target, self.path, self.report = body, target, path, report
        self.writer = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None

    def scratch(self, tile: Tile) -> Path | None:
        return scratch_folder(self.path, tile) if self.path is not None and wants_scratch(self.body) else None

    def finish(self, tile: Tile, future: Future[Any]) -> None:
        try:
            arrays = future.result()
        except BrokenExecutor as error:
            raise self.broken() from error
        except Exception as error:
            raise SweepError(f"{tile} failed with {type(error).__name__}: {error}; {self.kept()}") from error
        self.flush()
        self.writing = self.writer.submit(self._keep, tile, arrays)

    def flush(self) -> None:
        """Wait until the last tile handed over is stored; raises what its writing raised."""
        if self.writing is not None:
            writing, self.writing = self.writing, None
            writing.result()

    def _keep(self, tile: Tile, arrays: dict[str, Any]) -> None:
        self.target.write(tile, arrays)
        if (scratch := self.scratch(tile)) is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        self.report.advance(tile.cells)

    def broken(self) -> SweepError:
        return SweepError(
            "a worker process died (killed, out of memory, or started by a script without "
            f"'if __name__ == \"__main__\":'); {self.kept()}"
        )

    def kept(self) -> str:
        if self.path is None:
            return "nothing is kept without a store, give one to be able to resume"
        self.flush()
        total = self.target.tiles
        kept = total - len(self.target.pending())
        return f"{kept} of {total} tiles are kept in {self.path}, run again to resume"


def _run(session: _Session, pending: list[Tile], pool: Executor, room: Callable[[], int]) -> None:
    """Keep no more tiles in flight than there is room for, as a finished one waits in memory to be stored."""
    queue, flying = iter(pending), dict[Future[Any], Tile]()
    try:
        while True:
            while len(flying) < room() and (tile := next(queue, None)) is not None:
                flying[pool.submit(run_tile, session.body, tile.points, session.scratch(tile))] = tile
            if not flying:
                return session.flush()
            landed, _ = wait(flying, return_when=FIRST_COMPLETED)
            # Failures last: what finished beside a failed tile is stored all the same.
            for future in sorted(landed, key=_failed):
                session.finish(flying.pop(future), future)
    except BrokenExecutor as error:  # found broken when the next tile was submitted
        raise session.broken() from error
    except KeyboardInterrupt:
        raise SweepInterrupted(f"interrupted: {session.kept()}") from None
    finally:
        for future in flying:
            future.cancel()
        session.writer.shutdown()


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _check_pickle(body: Body) -> None:
    try:
        pickle.dumps(body)
    except Exception as error:
        raise TypeError(
            f"{type(body).__name__} cannot be sent to other processes ({error}); define it at the top of a module, "
            "without lambdas or open files, or run with executor='serial'"
        ) from error
