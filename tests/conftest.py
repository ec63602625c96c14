"""What holds for every test: Ctrl-C is heard, and garbage is collected seldom."""

import gc
import os
import signal

from hypothesis import settings

# The same examples at every run, so that one commit passes or fails alike everywhere; others with this variable.
settings.register_profile("suite", derandomize=not os.environ.get("LEMMATA_RANDOM_EXAMPLES"))
settings.load_profile("suite")


def pytest_configure() -> None:
    """Hear Ctrl-C: a job put into the background by a script ignores it, and so would all that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was imported stays, and tests leave little: a tenth of their time went into looking for garbage."""
    gc.freeze()
    gc.set_threshold(50_000)
