"""Two gloo processes: class counts are those of both, replicas stay alike, noise differs, DDP's rules are kept."""

import os
import tempfile

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from lemmata.robust import FGSMRS
from tests.robust.members import METHODS, network, samples

NAMES = ("FGSM-RS", "SKG class", "SKG pgi", "TDAT", "TRADES")


def _counts_are_summed(rank):
    """One process holds class 2 alone, the other classes 0 and 1; both learn all three accuracies."""
    method, (x, y, _) = METHODS["SKG class"](eps=0.1), samples()
    mine = y == 2 if rank else y < 2
    model = network().eval()
    step = method.loss(model, x[mine], y[mine])
    stats = method.epoch_end()
    assert stats.count.tolist() == torch.bincount(y).tolist()
    right = (step.logits_clean.argmax(1) == y[mine]).long()
    own = torch.bincount(y[mine], right, 3)
    dist.all_reduce(own)
    torch.testing.assert_close(stats.clean, (own / stats.count).float().clamp(1e-3, 1))


def _replicas_train(rank, name, **options):
    """Short batches, batch norm with spread buffers, several forward passes per backward."""
    method, model = METHODS[name](eps=0.1), DistributedDataParallel(network(), **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y, _ = samples()
    x, y = x[rank::2], y[rank::2]
    robust = []
    for _ in range(4):
        for rows in torch.arange(len(x)).split(8):
            step = method.loss(model, x[rows], y[rows])
            optimizer.zero_grad()
            step.loss.backward()
            optimizer.step()
        robust.append(method.epoch_end().robust_average)
    both = [torch.zeros_like(_flat(model)) for _ in range(2)]
    dist.all_gather(both, _flat(model))
    assert torch.equal(*both)
    assert robust[-1] > robust[0]


def _gradients_are_the_mean(rank):
    """In eval mode (no batch statistics) a step's gradient is the mean of the two processes' own."""
    x, y, _ = samples()
    x, y = x[rank::2], y[rank::2]
    model, alone = DistributedDataParallel(network().eval()), network().eval()
    METHODS["SKG pgi"](eps=0.1).loss(model, x, y).loss.backward()
    METHODS["SKG pgi"](eps=0.1).loss(alone, x, y).loss.backward()
    for ours, own in zip(model.parameters(), alone.parameters()):
        dist.all_reduce(own.grad)
        torch.testing.assert_close(ours.grad, own.grad / 2, rtol=1e-5, atol=1e-7)


def _noise_differs(rank):
    delta = FGSMRS(3, eps=0.1).start.draw(torch.zeros(4, 4), None, FGSMRS(3)._noise(torch.zeros(4)))
    both = [torch.zeros_like(delta) for _ in range(2)]
    dist.all_gather(both, delta)
    assert not torch.equal(*both)


def _bad_pixels_stop_both(rank):
    """On an accelerator a later batch's pixels are checked at the end: then every process refuses, none waits."""
    method, (x, y, _) = METHODS["FGSM-RS"](eps=0.1), samples()
    method.loss(network(), x, y)
    if rank:
        method._extremes[1] = 1.5
    with pytest.raises(ValueError, match=r"pixels from .* to 1\.5 were given"):
        method.epoch_end()


def _flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def _worker(rank, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    _counts_are_summed(rank)
    for name in NAMES:
        _replicas_train(rank, name)
    _replicas_train(rank, "SKG class", find_unused_parameters=True)
    with pytest.raises(ValueError, match="static_graph=True"):
        _replicas_train(rank, "SKG pgi", static_graph=True)
    _gradients_are_the_mean(rank)
    _noise_differs(rank)
    _bad_pixels_stop_both(rank)
    dist.destroy_process_group()
    os._exit(0)  # a thread of gloo that frees a tensor of a test while the interpreter closes would abort it


@pytest.mark.skipif(not dist.is_available(), reason="needs torch.distributed")
def test_two_processes():
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(_worker, (os.path.join(folder, "store"),), nprocs=2, start_method="spawn")
