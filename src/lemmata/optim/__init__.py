"""Optimisers without a learning rate to tune: torch.optim classes that stand alone."""

from lemmata.optim.adagrad_pp import AdaGradPP
from lemmata.optim.adam_pp import AdamPP, AdamWPP
from lemmata.optim.averaging import AveragedIterate

__all__ = ["AdaGradPP", "AdamPP", "AdamWPP", "AveragedIterate"]
