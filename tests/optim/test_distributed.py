"""Two gloo processes: replicas stay identical without talking, shards agree on one distance by one all-reduce."""

import copy
import os
import tempfile
from contextlib import contextmanager

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from lemmata.optim import AdaGradPP, AdamPP
from tests.optim.members import flat, params_of, quadratic, train


def _net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def _batches(steps):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(8, 4, generator=generator) for _ in range(steps)]


def _train_net(net, optimizer, batches):
    for batch in batches:
        optimizer.zero_grad()
        (net(batch).squeeze(1) - batch.sum(1)).square().mean().backward()
        optimizer.step()


def _replicas(rank):
    """DDP on halves of each batch equals one process on whole ones, and both ranks hold the same bits."""
    ddp, alone = DistributedDataParallel(_net()), _net()
    optimizer, twin = AdamPP(ddp.parameters()), AdamPP(alone.parameters())
    _train_net(ddp, optimizer, [batch[4 * rank : 4 * rank + 4] for batch in _batches(60)])
    _train_net(alone, twin, _batches(60))
    torch.testing.assert_close(flat(ddp.parameters()), flat(alone.parameters()), rtol=1e-4, atol=1e-6)
    both = [torch.zeros_like(flat(ddp.parameters())) for _ in range(2)]
    dist.all_gather(both, flat(ddp.parameters()))
    assert torch.equal(*both)


def _shards(rank):
    """Uneven shards, a tensor without gradient at first: the trajectory of the whole, for every scope."""
    for cls, options in (
        (AdamPP, {}),
        (AdaGradPP, {"eta0": "auto"}),
        (AdamPP, {"distance": "group"}),
        (AdamPP, {"distance": "tensor"}),
        (AdamPP, {"foreach": False, "max_eta": 0.5}),
    ):
        whole = params_of(12, 5, dtype=torch.float64)
        twin = cls([{"params": [p]} for p in whole], **options)
        cuts = [slice(0, 9), slice(9, 12)]
        mine = [nn.Parameter(whole[0].detach()[cuts[rank]].clone())]
        mine.append(nn.Parameter(whole[1].detach()[slice(0, 5) if rank == 0 else slice(5, 5)].clone()))
        optimizer = cls([{"params": [p]} for p in mine], process_group=dist.group.WORLD, **options)
        calls = []
        for t in range(40):
            twin.zero_grad()
            quadratic(whole, t, 0.1).backward()
            if t == 0:
                whole[1].grad = None
            mine[0].grad = whole[0].grad[cuts[rank]].clone()
            mine[1].grad = None if t == 0 else whole[1].grad[slice(0, 5) if rank == 0 else slice(5, 5)].clone()
            twin.step()
            with _counted_all_reduce(calls):
                optimizer.step()
        torch.testing.assert_close(mine[0].detach(), whole[0].detach()[cuts[rank]], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(optimizer.eta, twin.eta, rtol=1e-9, atol=0)
        torch.testing.assert_close(optimizer.distance(), twin.distance(), rtol=1e-9, atol=0)
        scopes = 1 if options.get("distance", "global") == "global" else 2
        assert calls[-40:] == [2 * scopes] * 40  # one all-reduce a step, of a pair for each scope
        assert len(calls) == 40 + (options.get("eta0") == "auto")


@contextmanager
def _counted_all_reduce(sizes):
    all_reduce = dist.all_reduce
    dist.all_reduce = lambda tensor, **options: (sizes.append(tensor.numel()), all_reduce(tensor, **options))[1]
    try:
        yield
    finally:
        dist.all_reduce = all_reduce


def _zero_redundancy(rank):
    """torch's ZeroRedundancyOptimizer gives each rank some of the parameters: the trajectory of one process."""
    for cls, options in (
        (AdamPP, {}),
        (AdaGradPP, {"eta0": "auto"}),
        (AdamPP, {"distance": "group"}),
        (AdamPP, {"distance": "tensor"}),
    ):
        whole, mine = (params_of(12, 5, (3, 4), dtype=torch.float64) for _ in range(2))
        groups = lambda params: [{"params": params[:2]}, {"params": params[2:], "lr": 0.5}]  # noqa: E731
        twin, optimizer = cls(groups(whole), **options), ZeroRedundancyOptimizer(groups(mine), cls, **options)
        train(twin, whole, 20)
        train(optimizer, mine, 20)
        torch.testing.assert_close(flat(mine), flat(whole), rtol=1e-9, atol=1e-12)
        if options.get("distance") != "tensor":
            torch.testing.assert_close(optimizer.optim.eta, twin.eta, rtol=1e-9, atol=0)
        optimizer.consolidate_state_dict(to=0)
        kept = [optimizer.state_dict() if rank == 0 else None]
        dist.broadcast_object_list(kept, src=0)
        resumed = [nn.Parameter(p.detach().clone()) for p in mine]
        again = ZeroRedundancyOptimizer(groups(resumed), cls, **options)
        again.load_state_dict(copy.deepcopy(kept[0]))
        train(twin, whole, 5, start=20)
        train(again, resumed, 5, start=20)
        torch.testing.assert_close(flat(resumed), flat(whole), rtol=1e-9, atol=1e-12)


def _dtensors(rank):
    """Parameters sharded as DTensors carry their mesh with them: no process_group."""
    mesh = init_device_mesh("cpu", (2,))
    whole = params_of(12, (4, 3), dtype=torch.float64)
    mine = [nn.Parameter(distribute_tensor(p.detach().clone(), mesh, [Shard(0)])) for p in whole]
    optimizer, twin = AdamPP(mine), AdamPP(whole)
    for t in range(20):
        twin.zero_grad()
        quadratic(whole, t, 0.1).backward()
        for p, q in zip(mine, whole):
            p.grad = distribute_tensor(q.grad, mesh, [Shard(0)])
        twin.step()
        optimizer.step()
    assert isinstance(optimizer.state[mine[0]]["exp_avg"], DTensor)
    for p, q in zip(mine, whole):
        torch.testing.assert_close(p.full_tensor().detach(), q.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(optimizer.eta, twin.eta, rtol=1e-9, atol=0)


def _worker(rank, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    _replicas(rank)
    _shards(rank)
    _zero_redundancy(rank)
    _dtensors(rank)
    dist.destroy_process_group()
    os._exit(0)  # a thread of gloo that frees a tensor of a test while the interpreter closes would abort it


@pytest.mark.skipif(not dist.is_available(), reason="needs torch.distributed")
def test_two_processes():
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(_worker, (os.path.join(folder, "store"),), nprocs=2, start_method="spawn")


def test_a_resumed_shard_needs_its_group_again():
    """A process group cannot be pickled: state_dict leaves it out and the new optimiser brings its own."""
    params = params_of(5)
    optimizer = AdamPP(params)
    train(optimizer, params, 2)
    assert "process_group" not in optimizer.state_dict()["param_groups"][0]
