"""Every optimiser of the room under every law."""

import pytest
import torch

from lemmata.optim import AdaGradPP, AdamPP
from tests.optim import laws, laws_reports, laws_state
from tests.optim.laws import all_kernels_agree
from tests.optim.members import MEMBERS

LAWS = [*laws.LAWS, *laws_state.LAWS, *laws_reports.LAWS]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", MEMBERS)
def test_law(name, law):
    law(MEMBERS[name])


@pytest.mark.parametrize("cls", [AdaGradPP, AdamPP])
def test_kernels_agree_in_float32(cls):
    """Five tensors of one length, so that four share a compiled call, one has its own, and a short one is native."""
    all_kernels_agree(cls, torch.float32, 1e-6, ((20, 10), 7, 200, (10, 20), (5, 40), 200))
