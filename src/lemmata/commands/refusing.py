"""Refusals: what the rooms below raise for a request they cannot meet becomes one sentence and exit code 2."""

import contextlib
from collections.abc import Iterator

import click

from lemmata.parameters import OutOfRange


class Refused(click.ClickException):
    """A request that cannot be met; the message is one sentence."""

    exit_code = 2


@contextlib.contextmanager
def refusing(*kinds: type[Exception]) -> Iterator[None]:
    """Turn the rooms' errors into refusals; parameters are named as they are typed.

    A fault in a claim or a prediction is no refusal: it keeps its traceback.
    """
    chosen = kinds or (ValueError, TypeError, OSError, ImportError)
    try:
        yield
    except OutOfRange as error:
        flag = flag_of(error.name)
        raise Refused(f"{flag} {_typed(error.value)} was asked for; {flag} must be {error.wanted}") from error
    except chosen as error:
        raise Refused(" ".join(str(error).split())) from error


def flag_of(name: str) -> str:
    """``--sigma-p`` for ``sigma_p``."""
    return "--" + name.removeprefix("--").replace("_", "-")


def _typed(value: object) -> str:
    return value if isinstance(value, str) and value else repr(value)
