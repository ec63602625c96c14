"""Trainings that run in C, where that was measured to be faster than PyTorch: one case per file, tested against it.

:func:`applies` says whether a training is such a case, :func:`advance` takes its steps, and :func:`in_use` says in a
line what a run will be trained by.
"""

from lemmata.dynamics.native.relu_gd import advance, applies, in_use

__all__ = ["advance", "applies", "in_use"]
