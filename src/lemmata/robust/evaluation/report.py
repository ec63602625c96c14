"""What an evaluation found: accuracy clean and under each attack, and for each class, as numbers and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class RobustReport:
    """Accuracies of one network in [0, 1].

    ``union`` counts a sample as right only if it is right clean and under every attack: an upper bound of the robust
    accuracy that is never looser than any single attack's.

    Attributes:
        samples: how many were looked at.
        clean: accuracy without attack.
        attacks: name → accuracy under this attack.
        union: accuracy under all of them.
        class_count: samples per class ``(K,)`` int64, or None.
        per_class: ``clean``, each attack's name and ``union`` → accuracies ``(K,)``, NaN for a class without samples;
            empty without ``per_class``.
        seconds: ``clean`` and each attack's name → wall time.
        settings: eps, norm, seed, mode of the network, versions of tools.
    """

    samples: int
    clean: float
    attacks: Mapping[str, float]
    union: float
    class_count: Tensor | None
    per_class: Mapping[str, Tensor]
    seconds: Mapping[str, float]
    settings: Mapping[str, Any]

    def worst_class(self, name: str = "union") -> tuple[int, float]:
        """The class with the lowest accuracy under an attack, and that accuracy.

        Raises:
            ValueError: the evaluation ran without ``per_class``, or there is no attack of this name.
        """
        found = self._of(name)
        place = int(found.nan_to_num(nan=2.0).argmin())
        return place, float(found[place])

    def gap(self, name: str = "union") -> float:
        """Highest minus lowest accuracy over the classes under an attack; errors as for :meth:`worst_class`."""
        found = self._of(name)
        return float(found.nan_to_num(nan=-1.0).max()) - self.worst_class(name)[1]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries, ready for JSON."""
        classes = {name: [round(float(v), 6) for v in values] for name, values in self.per_class.items()}
        return {
            "samples": self.samples,
            "clean": self.clean,
            "attacks": dict(self.attacks),
            "union": self.union,
            "worst_class": {name: list(self.worst_class(name)) for name in self.per_class},
            "gap": {name: self.gap(name) for name in self.per_class},
            "per_class": classes,
            "class_count": None if self.class_count is None else self.class_count.tolist(),
            "seconds": dict(self.seconds),
            "settings": dict(self.settings),
        }

    def to_markdown(self) -> str:
        """A table of the attacks and, if measured, one of the classes."""
        said = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        rows = {"clean": self.clean, **self.attacks}
        if len(self.attacks) > 1:
            rows["union"] = self.union
        lines = [f"{self.samples} samples; {said}", ""]
        if not self.per_class:
            lines += ["| attack | accuracy | seconds |", "|---|---|---|"]
            lines += [f"| {name} | {value:.3f} | {self._time(name)} |" for name, value in rows.items()]
            return "\n".join(lines)
        lines += ["| attack | accuracy | worst class | gap | seconds |", "|---|---|---|---|---|"]
        for name, value in rows.items():
            place, lowest = self.worst_class(name)
            lines.append(
                f"| {name} | {value:.3f} | {lowest:.3f} ({place}) | {self.gap(name):.3f} | {self._time(name)} |"
            )
        lines += ["", "| class | samples | " + " | ".join(rows) + " |", "|---" * (len(rows) + 2) + "|"]
        assert self.class_count is not None
        for place, count in enumerate(self.class_count.tolist()):
            cells = " | ".join(f"{float(self.per_class[name][place]):.3f}" for name in rows)
            lines.append(f"| {place} | {count} | {cells} |")
        return "\n".join(lines)

    def _time(self, name: str) -> str:
        return f"{self.seconds[name]:.1f}" if name in self.seconds else ""

    def _of(self, name: str) -> Tensor:
        if name not in self.per_class:
            known = ", ".join(self.per_class) or "none: run it with per_class=True"
            raise ValueError(f"accuracies per class under {name!r} were asked for; there are {known}.")
        return self.per_class[name]
