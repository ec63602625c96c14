"""Contrastive training as the body of a sweep, stopped at a loss per direction.

Two modalities sum the losses of both directions, one has a single direction; so that both stop at the same point, the
run's ``stop_loss`` is that of one direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lemmata.sweep.bodies.of_run import TrainingBody


@dataclass(frozen=True)
class ContrastiveBody(TrainingBody):
    """A :class:`~lemmata.TrainingBody` of paired data, whose ``stop_loss`` counts per direction."""

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile; all its cells have one ``modality``."""
        modality = points[0].get("modality", self.cell.value("modality"))
        stop = self.cell.stop_loss and self.cell.stop_loss * (2 if modality == "multi" else 1)
        return TrainingBody(replace(self.cell, stop_loss=stop)).run(points)
