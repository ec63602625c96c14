"""The laws of colours and captions of coloured digits: the paper's protocol, and a plainer one.

    paper:  10 % of labels are random in training and test; a picture has its label's colour with probability p, else
            another one; "swapped" test pictures have the colour of the paired class (0 and 1, 2 and 3, ...) with
            probability p, else another one; a caption says label and colour (one-hot each)
    plain:  labels as they are; a picture has its class's colour with probability p, else any; "uniform" test pictures
            have any, "permuted" ones the next class's; a caption says the class (one-hot), with noise

All tests are made under both; "swapped" of the plain protocol is that of the paper with its labels. Paper: Huang, Han,
Chen, Cao, Xu, Suzuki 2024 (arXiv 2411.02837, section 6 and Table 1: 10 colours for 10 digits, p = 0.775).
"""

import torch
from torch import Tensor, nn

from lemmata.draws import normal, uniform

PROTOCOLS = ("paper", "plain")
TESTS = ("train", "iid", "uniform", "permuted", "swapped")


def labels(key: Tensor, name: str, y: Tensor, classes: int, share: float) -> Tensor:
    """Classes ``(n,)`` of which a share is replaced by random ones."""
    random = (uniform(key, f"label/{name}", (len(y),))[0] * classes).long()
    return torch.where(uniform(key, f"label flips/{name}", (len(y),))[0] < share, random, y)


def hues(key: Tensor, protocol: str, law: str, y: Tensor, classes: int, p: float) -> Tensor:
    """The hue ``(n,)`` of every picture of label ``y`` under one of the laws of :data:`TESTS`."""
    if law == "permuted":
        return (y + 1) % classes
    drawn = uniform(key, f"hue/{law}", (len(y),))[0]
    own = uniform(key, f"own hue/{law}", (len(y),))[0] < p
    if law == "uniform":
        return (drawn * classes).long()
    if protocol == "plain" and law != "swapped":
        return torch.where(own, y, (drawn * classes).long())
    partner = y ^ 1
    mine = torch.where(partner < classes, partner, y) if law == "swapped" else y  # an odd last class is unpaired
    other = (mine + 1 + (drawn * (classes - 1)).long()) % classes
    return torch.where(own, mine, other)


def captions(key: Tensor, protocol: str, said: Tensor, hue: Tensor, classes: int, noise: float) -> Tensor:
    """``(n, classes)``, or in the paper's protocol ``(n, 2 classes)`` with the colour; fixed for a run."""
    parts = [nn.functional.one_hot(said, classes)]
    if protocol == "paper":
        parts.append(nn.functional.one_hot(hue, classes))
    drawn = normal(key, "caption noise", (len(said), classes * len(parts)), torch.float32)[0]
    return torch.cat(parts, 1) + noise * drawn
