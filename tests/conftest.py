"""What a shell that runs the tests in the background would change."""

import signal


def pytest_configure() -> None:
    """Hear Ctrl-C: a job put into the background by a script ignores it, and so would all that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
