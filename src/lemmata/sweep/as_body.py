"""What a user may hand to a sweep in place of a body."""

from typing import Any

from lemmata.sweep.body import Body


def as_body(given: Any) -> Body:
    """A body as it is; a :class:`~lemmata.Run` becomes its training.

    Raises:
        TypeError: what is given is neither.
    """
    if isinstance(given, Body):
        return given
    from lemmata.dynamics.run import Run  # torch is loaded by those alone who train
    from lemmata.sweep.bodies.of_run import TrainingBody

    if isinstance(given, Run):
        return TrainingBody(given)
    raise TypeError(f"a sweep runs a lemmata.Run or a body and was given {given!r}; see lemmata.sweep.Body")
