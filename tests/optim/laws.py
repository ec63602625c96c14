"""What each optimiser of the room obeys as it steps: the problems it solves, the scale, its modes, odd gradients."""

import copy

import torch
from torch import nn

from lemmata.optim import fused
from tests.optim.members import flat, params_of, quadratic, train


def minimises_a_quadratic(make):
    params = params_of(5, (3, 4))
    before = quadratic(params).item()
    train(make(params), params, 600, noise=0.0)
    assert quadratic(params).item() < 1e-2 * before


def minimises_rosenbrock(make):
    def rosenbrock(params, t=0, noise=0.0):
        x, y = params[0]
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    params = [nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))]
    train(make(params), params, 3000, loss=rosenbrock)
    assert rosenbrock(params).item() < 0.6  # from 24.2; at 4 begins the curved valley, along which this is far down


def forgets_the_scale_of_the_loss(make):
    ends = []
    for factor in (1.0, 2.0**-10, 2.0**20):
        params = params_of(5, (3, 4), dtype=torch.float64)
        optimizer = make(params, eps=1e-30, weight_decay=0.0)
        train(optimizer, params, 100, loss=lambda p, t, n, f=factor: f * quadratic(p, t, n))
        ends.append(flat(params))
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-10, atol=0)


def a_zero_first_gradient_moves_nothing(make):
    params = params_of(5, (3, 4))
    before, optimizer = flat(params), make(params, weight_decay=0.0)
    for _ in range(3):
        for p in params:
            p.grad = torch.zeros_like(p)
        optimizer.step()
        assert torch.equal(flat(params), before)
    train(optimizer, params, 200, noise=0.0)
    assert flat(params).isfinite().all()
    assert not torch.equal(flat(params), before)


def all_kernels_agree(make, dtype=torch.float64, tolerance=1e-9, shapes=((20, 10), 7)):
    saved = dict(fused.COMPILED_FROM)
    try:
        fused.COMPILED_FROM["cpu"] = 64  # so that the large tensors are compiled and the small one is not
        ends = []
        for options in ({"foreach": False}, {"foreach": True}, {"fused": True}, {"capturable": True}):
            params = params_of(*shapes, dtype=dtype)
            optimizer = make(params, eta0=1e-3, **options)
            train(optimizer, params, 50)
            ends.append((flat(params), optimizer.eta))
        for end, eta in ends[1:]:
            torch.testing.assert_close(end, ends[0][0], rtol=tolerance, atol=tolerance)
            torch.testing.assert_close(eta, ends[0][1], rtol=tolerance, atol=0)
    finally:
        fused.COMPILED_FROM.update(saved)


def eta_is_the_largest_distance_so_far(make):
    params = params_of(5, (3, 4))
    optimizer = make(params)
    largest = optimizer.eta
    for t in range(60):
        train(optimizer, params, 1, start=t, noise=3.0)
        largest = torch.maximum(largest, optimizer.distance())
        assert torch.equal(optimizer.eta, largest)
    optimizer.reset_origin()
    assert (optimizer.distance() == 0).all()
    assert (optimizer.eta <= 2e-6).all()


def a_closure_is_evaluated_once_with_gradients(make):
    params, twin = params_of(5, (3, 4)), params_of(5, (3, 4))
    optimizer = make(params)
    for t in range(5):
        calls = []

        def closure(t=t, calls=calls, optimizer=optimizer):
            optimizer.zero_grad()
            loss = quadratic(params, t, 0.1)
            loss.backward()
            calls.append(loss)
            return loss

        with torch.no_grad():
            assert optimizer.step(closure) is calls[0]
        assert len(calls) == 1
    train(make(twin), twin, 5)
    assert torch.equal(flat(params), flat(twin))


def schedulers_act_on_c(make):
    schedule = torch.optim.lr_scheduler
    for build in (
        lambda o: schedule.LambdaLR(o, lambda epoch: epoch / 10),  # starts at zero
        lambda o: schedule.CosineAnnealingLR(o, 20),
        lambda o: schedule.SequentialLR(o, [schedule.LinearLR(o, 0.1), schedule.ExponentialLR(o, 0.9)], [5]),
        lambda o: schedule.OneCycleLR(o, 1.0, total_steps=20, cycle_momentum=False),
        lambda o: schedule.ReduceLROnPlateau(o),
    ):
        params = params_of(5, (3, 4))
        optimizer = make(params)
        scheduler = build(optimizer)
        for t in range(10):
            before = flat(params)
            still = optimizer.param_groups[0]["lr"] == 0
            train(optimizer, params, 1, start=t)
            assert torch.equal(flat(params), before) == still
            scheduler.step(*([1.0] if isinstance(scheduler, schedule.ReduceLROnPlateau) else []))
        lr = optimizer.param_groups[0]["lr"]
        unscheduled = copy.deepcopy(optimizer)
        unscheduled.param_groups[0]["lr"] = 1.0
        torch.testing.assert_close(optimizer.effective_lr(), lr * unscheduled.effective_lr())


def maximising_is_minimising_the_negative(make):
    up, down = params_of(5, (3, 4)), params_of(5, (3, 4))
    train(make(up, maximize=True), up, 20, loss=lambda p, t, n: -quadratic(p, t, n))
    train(make(down), down, 20)
    assert torch.equal(flat(up), flat(down))


def complex_parameters_are_pairs_of_reals(make):
    pairs = params_of((6, 2), (3, 2))
    numbers = [nn.Parameter(torch.view_as_complex(p.detach().clone())) for p in pairs]
    optimizer, twin = make(numbers), make(pairs)
    for t in range(20):
        optimizer.zero_grad()
        quadratic([torch.view_as_real(z) for z in numbers], t, 0.1).backward()
        optimizer.step()
    train(twin, pairs, 20)
    assert torch.equal(torch.cat([torch.view_as_real(z.detach()).reshape(-1) for z in numbers]), flat(pairs))
    assert torch.equal(optimizer.distance(), twin.distance())


def any_memory_layout_is_the_same(make):
    for options in ({"foreach": False}, {"foreach": True}):
        plain = params_of((4, 3, 5, 2), (6, 7))
        strided = [
            nn.Parameter(plain[0].detach().clone().to(memory_format=torch.channels_last)),
            nn.Parameter(torch.zeros(7, 12)[:, ::2].t()),  # with gaps
        ]
        with torch.no_grad():
            strided[1].copy_(plain[1])
        optimizer, twin = make(strided, **options), make(plain, **options)
        train(optimizer, strided, 20)
        train(twin, plain, 20)
        torch.testing.assert_close(flat(strided), flat(plain), rtol=1e-6, atol=1e-7)


def an_overflow_under_grad_scaler_changes_nothing(make):
    params = params_of(5, (3, 4))
    optimizer, scaler = make(params), torch.amp.GradScaler("cpu", init_scale=4.0)
    for t in range(6):
        before, eta = flat(params), optimizer.eta
        optimizer.zero_grad()
        scaler.scale(quadratic(params, t, 0.1)).backward()
        if t == 3:
            params[0].grad[0] = torch.inf
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(flat(params), before) == (t == 3)
        assert t != 3 or torch.equal(optimizer.eta, eta)
    twin = params_of(5, (3, 4))
    again = make(twin)
    for t in (0, 1, 2, 4, 5):
        train(again, twin, 1, start=t)
    assert torch.equal(flat(params), flat(twin))


def a_bad_gradient_leaves_a_trace(make):
    for bad in (torch.nan, torch.inf):
        params = params_of(5, (3, 4))
        optimizer = make(params)
        train(optimizer, params, 5)
        optimizer.zero_grad()
        quadratic(params).backward()
        params[0].grad[2] = bad
        optimizer.step()
        # At once: that coordinate and the eta of its scope. At the next step: everything that shares this eta.
        assert flat(params).isnan().nonzero().flatten().tolist() == [2]
        assert optimizer.eta.isnan().any()
        train(optimizer, params, 1, start=6)
        assert params[0].isnan().all()
        assert params[1].isnan().all() == (optimizer.eta.numel() == 1)


def the_host_never_waits(make):
    """On the meta device nothing has a value, so reading one raises: as strict as a synchronisation check on a GPU."""
    for options in ({"foreach": False}, {"foreach": True}, {"capturable": True}):
        params = [nn.Parameter(torch.empty(s, device="meta")) for s in (5, (3, 4))]
        optimizer = make(params, max_eta=1.0, growth_rate=2.0, **options)
        for active in (params, params[:1], params):
            optimizer.zero_grad()
            for p in active:
                p.grad = torch.empty_like(p)
            optimizer.step()


def clipping_does_not_touch_the_growth(make):
    """A gradient clipped to a constant norm is a normalised one; eta must get as far within a factor of two."""
    etas = []
    for clip in (False, True):
        params = params_of(5, (3, 4))
        optimizer = make(params)
        for t in range(150):
            optimizer.zero_grad()
            quadratic(params, t, 0.1).backward()
            if clip:
                nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()
        assert quadratic(params).item() < 0.5 * quadratic(params_of(5, (3, 4))).item()
        etas.append(optimizer.eta)
    assert (etas[1] < 2 * etas[0]).all()
    assert (etas[1] > etas[0] / 2).all()


def the_cap_and_the_growth_rate_hold(make):
    params = params_of(5, (3, 4))
    optimizer = make(params, max_eta=1e-2, growth_rate=1.5)
    before = optimizer.eta
    for t in range(100):
        train(optimizer, params, 1, start=t)
        assert (optimizer.eta <= 1.5 * before * (1 + 1e-12)).all()
        assert (optimizer.eta <= 1e-2).all()
        before = optimizer.eta
    assert (optimizer.eta == 1e-2).all()


LAWS = [
    minimises_a_quadratic,
    minimises_rosenbrock,
    forgets_the_scale_of_the_loss,
    a_zero_first_gradient_moves_nothing,
    all_kernels_agree,
    eta_is_the_largest_distance_so_far,
    a_closure_is_evaluated_once_with_gradients,
    schedulers_act_on_c,
    maximising_is_minimising_the_negative,
    complex_parameters_are_pairs_of_reals,
    any_memory_layout_is_the_same,
    an_overflow_under_grad_scaler_changes_nothing,
    a_bad_gradient_leaves_a_trace,
    the_host_never_waits,
    clipping_does_not_touch_the_growth,
    the_cap_and_the_growth_rate_hold,
]
