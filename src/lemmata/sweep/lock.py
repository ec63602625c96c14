"""One process at a time sweeps into a folder: a file ``.NAME.lock`` beside it, taken before anything is made.

Where the file system has locks, the system lets go when a process ends, however it ends. Where it has none, as on some
network drives, the file itself is the lock: made by one process alone, touched every few seconds while that lives, and
taken over by the next when the process is known to be gone, or has not touched it for a minute.
"""

import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TOUCH_SECONDS, STALE_SECONDS = 10.0, 60.0


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes from sweeping into ``path`` until the block ends; the folder need not exist.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the folder beside it cannot be written.
    """
    file = path.with_name(f".{path.name}.lock")
    if _has_locks(file):
        handle = _system_lock(file, path)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)  # before it is let go: who waits for this very file looks whether it is there
            os.close(handle)
        return
    mine = _own_file(file, path)
    ended = threading.Event()
    threading.Thread(target=_touch, args=(file, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if _content(file) == mine:
            file.unlink(missing_ok=True)


def _refused(path: Path) -> BlockingIOError:
    return BlockingIOError(f"another process is sweeping into {path}; wait for it, or choose another folder")


def _has_locks(file: Path) -> bool:
    """Whether the system locks files there, tried on one of our own."""
    probe = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    handle = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if fcntl is None:
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
        probe.unlink(missing_ok=True)


def _system_lock(file: Path, path: Path) -> int:
    """The locked file's handle."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(file)):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise _refused(path) from None
        except FileNotFoundError:
            pass
        os.close(handle)  # its holder ended and removed it between our opening and locking


def _own_file(file: Path, path: Path) -> dict[str, Any]:
    mine = {"host": socket.gethostname(), "process": os.getpid(), "born": _born(os.getpid()), "id": uuid.uuid4().hex}
    for _ in range(2):
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            _take_over(file, path)
            continue
        with os.fdopen(handle, "w") as opened:
            opened.write(json.dumps(mine))
        return mine
    raise _refused(path)


def _take_over(file: Path, path: Path) -> None:
    """Remove a lock whose process is gone; one process alone may, and looks again whether it is still that lock."""
    found = _content(file)
    if not _is_stale(file, found):
        raise _refused(path)
    ticket = file.with_name(f"{file.name}.{found.get('id', 'unknown')}.over")
    try:
        os.close(os.open(ticket, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        raise _refused(path) from None
    try:
        if _content(file) == found:
            file.unlink(missing_ok=True)
    finally:
        ticket.unlink(missing_ok=True)


def _is_stale(file: Path, found: dict[str, Any]) -> bool:
    if found.get("host") == socket.gethostname() and (born := _born(found.get("process", 0))) is not None:
        return born != found.get("born")
    probe = file.with_name(f"{file.name}.{uuid.uuid4().hex}")  # both times are the file server's
    try:
        probe.touch()
        return probe.stat().st_mtime - file.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return True
    finally:
        probe.unlink(missing_ok=True)


def _content(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _born(process: int) -> str | None:
    """When a process of this machine started, as another may get its number; empty if it is gone, None if unknown."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        pass
    if os.name == "nt":  # where the question below would end it
        return None
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except OSError:  # there, and somebody else's
        pass
    return "running"


def _touch(file: Path, ended: threading.Event) -> None:
    while not ended.wait(TOUCH_SECONDS):
        with suppress(OSError):
            os.utime(file)
