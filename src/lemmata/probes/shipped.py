"""The probes that come with Lemmata, gathered from the files that hold them, and how a run names them."""

from lemmata.probes import alignment, downstream, encoders, feature_learning, generalisation, learning, loss_of_law
from lemmata.probes.probe import Probe

_FILES = (learning, generalisation, loss_of_law, encoders, downstream, feature_learning, alignment)

PROBES: dict[str, Probe] = {probe.name: probe for file in _FILES for probe in file.PROBES}


def named(probes: tuple[str | Probe, ...]) -> tuple[Probe, ...]:
    """Probes by their names; a probe of the user's own passes as it is.

    Raises:
        ValueError: for a name that is not in :data:`PROBES`, or a name twice.
        TypeError: for what is neither a name nor a probe.
    """
    if isinstance(probes, str) or not isinstance(probes, tuple | list):
        raise TypeError(f"probes = {probes!r} was asked for; write a tuple, e.g. probes=('train_loss', 'test_error')")
    found = []
    for probe in probes:
        if isinstance(probe, str) and probe not in PROBES:
            raise ValueError(f"probe {probe!r} was asked for; the probes are {', '.join(PROBES)}, or write a Probe")
        if not isinstance(probe, str | Probe):
            raise TypeError(
                f"{probe!r} was asked for as a probe; name one of lemmata.PROBES, or write "
                f"Probe({getattr(probe, '__name__', 'my_probe')!r}, function)"
            )
        found.append(PROBES[probe] if isinstance(probe, str) else probe)
    names = [probe.name for probe in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"probe {name!r} was asked for twice; name each probe once")
    return tuple(found)
