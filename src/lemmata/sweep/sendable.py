"""Can workers of a process pool load what they are sent? Asked before anything is made."""

import io
import pickle
import sys
from pathlib import Path
from typing import Any

_REMEDY = "define it at the top of a module, without lambdas or open files, or run with executor='serial'"


def check_sendable(body: Any) -> None:
    """Refuse a body that workers cannot load.

    Raises:
        TypeError: it cannot be pickled, or holds a class or function that other processes cannot import.
    """
    try:
        named = _Names(io.BytesIO(pickle.dumps(body)))
        named.load()
    except Exception as error:
        raise TypeError(f"{type(body).__name__} cannot be sent to other processes ({error}); {_REMEDY}") from error
    for module, name in sorted(named.found):
        if module == "__main__":
            file = getattr(sys.modules["__main__"], "__file__", None)
            if file is None or not Path(file).is_file():
                raise TypeError(
                    f"{name} was defined in a notebook or at the prompt, where other processes cannot import it; write "
                    "it to a file and import it from there, or run with executor='serial'"
                )
        elif not _importable(module.partition(".")[0]):
            raise TypeError(f"{name} is defined in {module}, which other processes cannot import; {_REMEDY}")


class _Names(pickle.Unpickler):
    """Notes module and name of every class and function that a pickle refers to."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file)
        self.found: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.found.add((module, name))
        return super().find_class(module, name)


def _importable(module: str) -> bool:
    """Whether a process with our path finds a module that it has not loaded."""
    return any(finder.find_spec(module, None) is not None for finder in sys.meta_path)
