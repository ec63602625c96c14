"""AdaGradPP takes sparse gradients exactly: as if they were dense."""

import pytest
import torch
from torch import nn

from lemmata.optim import AdaGradPP


def _embedding(sparse, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Embedding(12, 3, sparse=sparse, dtype=dtype)


def _step(table, bias, optimizer, t):
    rows = torch.randint(12, (2, 4), generator=torch.Generator().manual_seed(t))  # with repetitions: not coalesced
    optimizer.zero_grad()
    ((table(rows) - 1) ** 2).sum().add((bias**2).sum()).backward()
    optimizer.step()


@pytest.mark.parametrize("options", [{}, {"distance": "tensor"}, {"maximize": True, "lr": 0.1}, {"capturable": True}])
def test_sparse_equals_dense(options):
    sparse, dense = _embedding(True), _embedding(False)
    biases = [nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2)]
    optimizer = AdaGradPP([sparse.weight, biases[0]], **options)
    twin = AdaGradPP([dense.weight, biases[1]], **options)
    for t in range(60):
        _step(sparse, biases[0], optimizer, t)
        _step(dense, biases[1], twin, t)
        assert sparse.weight.grad.is_sparse
        torch.testing.assert_close(sparse.weight, dense.weight, rtol=1e-11, atol=1e-14)
        torch.testing.assert_close(optimizer.eta, twin.eta, rtol=1e-11, atol=0)
    torch.testing.assert_close(optimizer.recompute_distance(), twin.distance(), rtol=1e-11, atol=0)


def test_rows_that_were_not_looked_up_stay():
    table = _embedding(True, torch.float32)
    before, optimizer = table.weight.detach().clone(), AdaGradPP(table.parameters())
    table(torch.tensor([3, 5])).sum().backward()
    optimizer.step()
    changed = (table.weight != before).any(dim=1).nonzero().flatten()
    assert changed.tolist() == [3, 5]


def test_weight_decay_and_sparse_gradients_exclude_each_other():
    table = _embedding(True)
    optimizer = AdaGradPP(table.parameters(), weight_decay=0.1)
    table(torch.tensor([3])).sum().backward()
    with pytest.raises(RuntimeError, match=r"weight_decay=0\.1"):
        optimizer.step()


def test_an_empty_sparse_gradient_moves_nothing():
    table = _embedding(True)
    optimizer, before = AdaGradPP(table.parameters()), table.weight.detach().clone()
    table(torch.zeros(0, dtype=torch.long)).sum().backward()
    optimizer.step()
    assert torch.equal(table.weight, before)
    assert float(optimizer.distance()) == 0.0
