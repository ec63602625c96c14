"""The scale that replaces the learning rate: how far the parameters have moved from where they started.

    r_t = ||x_t - x_0|| / sqrt(d),    eta_t = max(eta_{t-1}, r_t),    eta_{-1} = eta0 > 0,

``d`` counting the real coordinates of the parameters that have ever had a gradient. Reference: Tao, Yuan, Zhou, Cao, Gu
(2024), "Towards Simple and Provable Parameter-Free Adaptive Gradient Methods", arXiv 2412.19444; the maximum over
distances is that of DoG (Ivgi, Hinder, Carmon 2023, arXiv 2302.12022). Names: ``eta`` is eta_t, ``distance`` is r_t,
``origin`` is x_0, ``lr`` is the multiplier c of the paper.

:class:`DistanceOptimizer` keeps x_0, eta and the distances for every optimiser of the room. Scalars sit in
``param_groups``, where ``state_dict`` finds them: ``eta`` (the same tensor in every group if they share it), and, with
one entry per parameter, ``distances`` (norm of x - x_0), ``coordinates`` (0 until the first gradient) and ``steps``.
"""

from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from lemmata.optim.batch import Coefficients, Row, Slots, norm
from lemmata.optim.checks import check_options, check_params, check_shared, check_state
from lemmata.optim.scale import grown_eta, initial_eta, moved_distance, scalar_options, scopes
from lemmata.optim.stepping import batches, kernel, real

Group = dict[str, Any]


class DistanceOptimizer(Optimizer):
    """Base of the optimisers whose rate is ``lr * eta``; a subclass names its moments and computes its scalars."""

    def __init__(self, params: ParamsT, defaults: Group, process_group: Any = None) -> None:
        self.process_group = process_group
        check_options(type(self).__name__, defaults)
        super().__init__(params, defaults)

    def _moments(self, group: Group) -> tuple[str | None, str, str | None]:
        """State names of the first moment, the second, and the latter's running maximum; None where there is none."""
        raise NotImplementedError

    def _coefficients(self, group: Group, step: Any, lr: Any, eta: Any) -> Coefficients:
        """The scalars of step number ``step``, counted from 1: floats from floats, tensors from tensors."""
        raise NotImplementedError

    def _move_sparse(self, p: Tensor, distance: Tensor, c: Coefficients) -> Tensor:
        """Update ``p`` by its sparse gradient; from the norm of x - x_0 before, return the one after."""
        raise NotImplementedError

    def effective_lr(self, group: int = 0) -> Tensor:
        """The learning rate of the next step of parameter group number ``group``."""
        raise NotImplementedError

    @property
    def eta(self) -> Tensor:
        """The scale of the next step: 0-d, or ``(groups,)`` / ``(parameters,)`` for ``distance`` "group" / "tensor"."""
        return self._gather([scope[0]["eta"] for scope in scopes(self.param_groups)])

    @torch.no_grad()
    def distance(self) -> Tensor:
        """RMS displacement per coordinate after the last step, shaped as :attr:`eta`.

        It is the one that the last step measured: after editing parameters call :meth:`recompute_distance` instead.
        With ``process_group`` every rank must call it.
        """
        return self._gather(moved_distance(self.param_groups, self.process_group))

    @torch.no_grad()
    def recompute_distance(self) -> Tensor:
        """Measure x - x_0 again, after parameters were edited between steps, and raise eta where it has grown.

        Returns:
            The same as :meth:`distance`.
        """
        for group in self.param_groups:
            for i, p in enumerate(group["params"]):
                if self.state[p]:
                    group["distances"][i].copy_(norm(real(p) - real(self.state[p]["origin"])))
        self._grow()
        return self.distance()

    @torch.no_grad()
    def reset_origin(self) -> None:
        """Measure from here: x_0 <- x, eta <- eta0. Moments and step counts stay; for a full restart build anew."""
        for group in self.param_groups:
            group["distances"].zero_()
            for p in group["params"]:
                if self.state[p]:
                    self.state[p]["origin"].copy_(p)
        for scope, eta in zip(scopes(self.param_groups), initial_eta(self.param_groups, self.process_group)):
            _set_eta(scope, eta)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step.

        A NaN or an infinite gradient is not hidden: its coordinate turns NaN, and with it the distance and ``eta``, and
        every other parameter at the next step. ``GradScaler`` skips such steps, and then nothing here changes.

        Args:
            closure: reevaluates the model and returns the loss.

        Returns:
            What ``closure`` returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.set_grad_enabled(bool(self.defaults["differentiable"])):
            active = [[i for i, p in enumerate(g["params"]) if p.grad is not None] for g in self.param_groups]
            self._prepare(active)
            for group, indices in zip(self.param_groups, active):
                if indices:
                    self._move(group, indices)
            self._grow()
        return loss

    def add_param_group(self, param_group: Group) -> None:
        """As in torch, at any time. A parameter's x_0 is its value at its first gradient; then on it counts in d."""
        name, options = type(self).__name__, {**self.defaults, **param_group}
        check_options(name, options)
        if self.param_groups:
            check_shared(name, options, self.param_groups[0])
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            check_params(name, group["params"], group)
        except ValueError:
            self.param_groups.pop()
            raise
        count, scalar = len(group["params"]), scalar_options(group["params"])
        group["distances"] = torch.zeros(count, **scalar)
        group["coordinates"] = torch.zeros(count, **scalar)
        group["steps"] = torch.zeros(count, **scalar) if group["capturable"] else [0] * count
        group["started"] = False
        if group["distance"] == "global" and len(self.param_groups) > 1:
            group["eta"] = self.param_groups[0]["eta"]
        else:
            group["eta"] = torch.zeros(count if group["distance"] == "tensor" else (), **scalar)
        if not any(other["started"] for other in self.param_groups if other["eta"] is group["eta"]):
            # A value to look at; the first step sets it again, once the process group can be asked.
            for scope, eta in zip(scopes(self.param_groups), initial_eta(self.param_groups)):
                if any(other is group for other in scope):
                    group["eta"].copy_(eta)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch, bit for bit: x_0 and eta are those of the checkpoint, wherever the parameters now are.

        Raises:
            ValueError: the state is of other parameters, of another optimiser or ``distance``; nothing is loaded then.
        """
        check_state(type(self).__name__, state_dict, self.param_groups, lambda g: self._slot_names(g))
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            scalar = scalar_options(group["params"])
            for key in ("eta", "distances", "coordinates"):
                group[key] = group[key].to(**scalar)
            steps = group["steps"].tolist() if isinstance(group["steps"], Tensor) else group["steps"]
            group["steps"] = torch.tensor(steps, **scalar) if group["capturable"] else [int(n) for n in steps]
            if group["distance"] == "global":
                group["eta"] = self.param_groups[0]["eta"]
            for p in group["params"]:  # torch has cast x_0 to the parameter's dtype; going back is exact
                if group["x0_dtype"] is not None and self.state[p]:
                    self.state[p]["origin"] = self.state[p]["origin"].to(group["x0_dtype"])

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("process_group", None)  # a process group cannot be pickled: set it again on the copy

    def _slot_names(self, group: Group) -> list[str]:
        return [name for name in (*self._moments(group), "origin") if name is not None]

    def _prepare(self, active: list[list[int]]) -> None:
        """Refuse what cannot be stepped, then set eta and allocate the state of parameters at their first gradient."""
        for group, indices in zip(self.param_groups, active):
            for i in indices:
                if group["params"][i].grad.is_sparse:
                    self._check_sparse(group)
        if not all(group["started"] for group in self.param_groups):
            self._start()
        for group, indices in zip(self.param_groups, active):
            for i in indices:
                p = group["params"][i]
                if self.state[p]:
                    continue
                for name in self._slot_names(group)[:-1]:
                    self.state[p][name] = torch.zeros_like(p, memory_format=torch.preserve_format)
                origin = p.clone(memory_format=torch.preserve_format)
                self.state[p]["origin"] = origin if group["x0_dtype"] is None else origin.to(group["x0_dtype"])
                group["coordinates"][i].fill_(real(p).numel())

    def _check_sparse(self, group: Group) -> None:
        raise RuntimeError(
            f"{type(self).__name__} does not support sparse gradients, please consider AdaGradPP instead"
        )

    def _move(self, group: Group, indices: list[int]) -> None:
        """Step the parameters of a group that have a gradient, and note how far each is now."""
        params, (first_moment, second, largest) = group["params"], self._moments(group)
        for batch, c in batches(group, indices, self._coefficients):
            first = params[batch[0]]
            if first.grad.is_sparse:
                norms = self._move_sparse(first, group["distances"][batch[0]], c).reshape(1)
            else:
                states = [self.state[params[i]] for i in batch]
                rows: list[Row] = [
                    (
                        params[i],
                        params[i].grad,
                        state.get(first_moment),
                        state[second],
                        state.get(largest),
                        state["origin"],
                    )
                    for i, state in zip(batch, states)
                ]
                if first.is_complex():
                    rows = [tuple(None if t is None else real(t) for t in row) for row in rows]
                norms = kernel(group, first)(Slots.of(rows), c)
            _write(group, "distances", batch, norms)

    def _grow(self) -> None:
        for scope, eta in zip(scopes(self.param_groups), grown_eta(self.param_groups, self.process_group)):
            _set_eta(scope, eta)

    def _start(self) -> None:
        """Set eta of the scopes that have not stepped yet, from the parameters as they are now."""
        for scope, eta in zip(scopes(self.param_groups), initial_eta(self.param_groups, self.process_group)):
            if not any(group["started"] for group in scope):
                _set_eta(scope, eta)
        for group in self.param_groups:
            group["started"] = True

    def _gather(self, scales: list[Tensor]) -> Tensor:
        if self.param_groups[0]["distance"] == "global":
            return scales[0].detach().clone()
        gather = torch.stack if self.param_groups[0]["distance"] == "group" else torch.cat
        return gather([scale.detach().to(scales[0].device) for scale in scales])


def _write(group: Group, key: str, indices: list[int], values: Tensor) -> None:
    """Put ``values`` at ``indices`` of a group's vector: in place, or into a new one where autograd follows."""
    old = group[key]
    values = values.to(old.device, old.dtype)
    if group["differentiable"]:
        entries = dict(enumerate(old.unbind())) | dict(zip(indices, values.unbind()))
        group[key] = torch.stack([entries[i] for i in range(len(old))])
    elif len(indices) == len(old):
        old.copy_(values)
    else:
        for i, value in zip(indices, values.unbind()):
            old[i].copy_(value)


def _set_eta(scope: list[Group], eta: Tensor) -> None:
    """Write eta in place, where captured graphs look for it; autograd wants a new tensor instead."""
    if not scope[0]["differentiable"]:
        # Through a view: torch.compile drops writes into 0-d float64 tensors of the CPU (seen in torch 2.13).
        scope[0]["eta"].view(-1).copy_(eta.view(-1))
        return
    for group in scope:
        group["eta"] = eta
