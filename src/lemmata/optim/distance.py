"""The scale that replaces the learning rate: how far the parameters have moved from where they started.

    r_t = ||x_t - x_0|| / sqrt(d),    eta_t = max(eta_{t-1}, r_t),    eta_{-1} = eta0 > 0,

``d`` counting the real coordinates of the parameters that have ever had a gradient. Reference: Tao, Yuan, Zhou, Cao, Gu
(2024), "Towards Simple and Provable Parameter-Free Adaptive Gradient Methods", arXiv 2412.19444; the maximum over
distances is that of DoG (Ivgi, Hinder, Carmon 2023, arXiv 2302.12022). Names: ``eta`` is eta_t, ``distance`` is r_t,
``origin`` is x_0, ``lr`` is the multiplier c of the paper.

:class:`DistanceOptimizer` keeps x_0, eta and the distances for every optimiser of the room. What belongs to one
parameter is in ``state[parameter]``, as torch's optimisers keep it: its moments, ``origin``, ``step``, ``distance``
(norm of x - x_0), ``coordinates``, and with ``distance="tensor"`` its ``eta``. A shared ``eta`` is in the parameter
groups, the same tensor in all that share it.
"""

from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from lemmata.optim.batch import Coefficients, Row, Slots, high_precision, norm
from lemmata.optim.checks import check_options, check_params, check_shared
from lemmata.optim.saved import MOMENTS_OF, check_shapes, check_state, restore_exactly
from lemmata.optim.scale import (
    Group,
    Measured,
    Owned,
    coordinates_of,
    current_eta,
    grown_eta,
    has_started,
    initial_eta,
    moved_distance,
    scalar_options,
    scopes,
    set_distances,
    set_eta,
)
from lemmata.optim.sharding import group_of_the_wrapper
from lemmata.optim.stepping import batches, kernel, real
from lemmata.optim.stuck import warn_if_stuck


class DistanceOptimizer(Optimizer):
    """Base of the optimisers whose rate is ``lr * eta``; a subclass names its moments and computes its scalars."""

    def __init__(self, params: ParamsT, defaults: Group, process_group: Any = None) -> None:
        check_options(type(self).__name__, defaults)
        if process_group is None and defaults["distance"] != "tensor":  # tensors that lie whole on a rank know enough
            process_group = group_of_the_wrapper()
        self.process_group, self._warned = process_group, False
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
        return self._gather(current_eta(self.param_groups, self.state))

    @torch.no_grad()
    def distance(self) -> Tensor:
        """RMS displacement per coordinate after the last step, shaped as :attr:`eta`.

        It is the one that the last step measured: after editing parameters call :meth:`recompute_distance` instead.
        With ``process_group`` every rank must call it.
        """
        return self._gather(moved_distance(self.param_groups, self.state, self.process_group))

    @torch.no_grad()
    def recompute_distance(self) -> Tensor:
        """Measure x - x_0 again, after parameters were edited between steps, and raise eta where it has grown.

        Returns:
            The same as :meth:`distance`.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if has_started(self.state, p):
                    self._measure(group, p)
        self._grow([None] * len(self.param_groups))
        return self.distance()

    @torch.no_grad()
    def reset_origin(self) -> None:
        """Measure from here: x_0 <- x, eta <- eta0. Moments and step counts stay; for a full restart build anew."""
        for group in self.param_groups:
            for p in group["params"]:
                if has_started(self.state, p):
                    self.state[p]["origin"].copy_(p)
                    set_distances([(p, self.state[p])], [torch.zeros_like(self.state[p]["distance"])], group)
        for scope, eta in zip(scopes(self.param_groups), initial_eta(self.param_groups, self.process_group)):
            set_eta(scope, self.state, eta)

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
            active = self._prepare()
            self._grow([self._move(group, owned) for group, owned in zip(self.param_groups, active)])
            if not self._warned:
                self._warned = warn_if_stuck(type(self).__name__, self.param_groups, self.state, self.process_group)
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
        group["started"] = False
        if group["distance"] == "tensor":
            return
        if group["distance"] == "global" and len(self.param_groups) > 1:
            group["eta"] = self.param_groups[0]["eta"]
        else:
            group["eta"] = torch.zeros((), **scalar_options(group["params"]))
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
        restore_exactly(self.param_groups, self.state, state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("process_group", None)  # a process group cannot be pickled: set it again on the copy
        self.__dict__.setdefault("_warned", False)

    def _slot_names(self, group: Group) -> list[str]:
        return [name for name in (*self._moments(group), "origin") if name is not None]

    def _prepare(self) -> list[Owned]:
        """Refuse what cannot be stepped, then set eta and allocate the state of parameters at their first gradient.

        Returns:
            For each group its parameters that have a gradient, each with its state.
        """
        active: list[Owned] = []
        for number, group in enumerate(self.param_groups):
            owned: Owned = []
            for place, p in enumerate(group["params"]):
                own, grad = self.state.get(p), p.grad
                if own and "origin" in own and own["coordinates"] != p.numel():
                    # Pruned or extended: the count follows, and the norm must be of what is there now.
                    check_shapes(type(self).__name__, self._slot_names(group), own, p, place, number)
                    self._measure(group, p)
                if grad is not None:
                    if grad.is_sparse:
                        self._check_sparse(group)
                    owned.append((p, own or {}))
            active.append(owned)
        self._start()
        for group, owned in zip(self.param_groups, active):
            for i, (p, own) in enumerate(owned):
                if "origin" not in own:
                    owned[i] = p, self._allocate(group, p)
        return active

    def _start(self) -> None:
        """Set eta of the scopes that have not stepped yet, from the parameters as they are now."""
        first, alone = self.param_groups[0], self.param_groups[0]["distance"] == "tensor"
        if first["distance"] == "global":
            for group in self.param_groups:  # wrappers copy groups about; the scale stays one
                group["eta"] = first["eta"]
        missing = alone and any("eta" not in self.state[p] for group in self.param_groups for p in group["params"])
        if not missing and all(group["started"] for group in self.param_groups):
            return
        for scope, eta in zip(scopes(self.param_groups), initial_eta(self.param_groups, self.process_group)):
            if alone:
                known = [self.state[p].get("eta", value) for p, value in zip(scope[0]["params"], eta.unbind())]
                eta = torch.stack(known) if known else eta
            if alone or not any(group["started"] for group in scope):
                set_eta(scope, self.state, eta)
        for group in self.param_groups:
            group["started"] = True

    def _allocate(self, group: Group, p: Tensor) -> dict[str, Any]:
        own, dtype = self.state[p], MOMENTS_OF.get(p.dtype, p.dtype)
        for name in self._slot_names(group)[:-1]:
            own[name] = torch.zeros_like(p, dtype=dtype, memory_format=torch.preserve_format)
        origin = p.clone(memory_format=torch.preserve_format)
        own["origin"] = origin if group["x0_dtype"] is None else origin.to(group["x0_dtype"])
        own["step"] = torch.zeros((), **scalar_options([p])) if group["capturable"] else 0
        own["distance"] = torch.zeros((), device=p.device, dtype=high_precision(p.dtype))
        own["coordinates"] = p.numel()
        return own

    def _measure(self, group: Group, p: Tensor) -> None:
        set_distances([(p, self.state[p])], [norm(real(p) - real(self.state[p]["origin"]))], group)
        self.state[p]["coordinates"] = p.numel()

    def _check_sparse(self, group: Group) -> None:
        raise RuntimeError(
            f"{type(self).__name__} does not support sparse gradients, please consider AdaGradPP instead"
        )

    def _move(self, group: Group, owned: Owned) -> Measured:
        """Step the parameters of a group that have a gradient, and note how far each is now.

        Returns:
            All distances of the group, in the order of its parameters, and its coordinates, where one batch had them
            all; None where that has to be gathered.
        """
        first_moment, second, largest = (name or "" for name in self._moments(group))
        measured = None
        for batch, c in batches(group, owned, self._coefficients):
            first, first_own = batch[0]
            if first.grad is not None and first.grad.is_sparse:
                norms = [self._move_sparse(first, first_own["distance"], c)]
            else:
                rows: list[Row] = [
                    (p, p.grad, own.get(first_moment), own[second], own.get(largest), own["origin"]) for p, own in batch
                ]
                if first.is_complex():
                    rows = [tuple(None if t is None else real(t) for t in row) for row in rows]
                norms = kernel(group, first)(Slots.of(rows), c)
            set_distances(batch, norms, group)
            if len(batch) == len(group["params"]):
                measured = torch.stack(norms).to(**scalar_options([first])), coordinates_of(batch)
        return measured

    def _grow(self, measured: list[Measured]) -> None:
        grown = grown_eta(self.param_groups, self.state, self.process_group, measured)
        for scope, eta in zip(scopes(self.param_groups), grown):
            set_eta(scope, self.state, eta)

    def _scale(self, group: int) -> Tensor:
        """eta of parameter group number ``group``, 0-d or one per parameter."""
        scales = current_eta(self.param_groups, self.state)
        return scales[0 if self.param_groups[0]["distance"] == "global" else group].detach()

    def _gather(self, scales: list[Tensor]) -> Tensor:
        if self.param_groups[0]["distance"] == "global":
            return scales[0].detach().clone()
        gather = torch.stack if self.param_groups[0]["distance"] == "group" else torch.cat
        return gather([scale.detach().to(scales[0].device) for scale in scales])
