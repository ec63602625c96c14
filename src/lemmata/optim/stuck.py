"""The one mistake that everyone makes once: Adam's learning rate left where a multiplier of 1 belongs.

With ``lr = 1e-3`` the first steps are a thousandth of ``eta0`` long, the distance never reaches ``eta0``, and nothing
is learnt, in silence: the parameters move too little to be seen and the loss stays where it was.
"""

import warnings
from typing import Any

from lemmata.optim.scale import Group, State, has_started, initial_eta

AFTER = 200  # steps: from the smallest eta0 that makes sense, growth has begun long before
SMALL = 0.1  # multipliers from here on work alike in the paper


def warn_if_stuck(name: str, groups: list[Group], state: State, process_group: Any) -> bool:
    """Warn where eta is still its first value after :data:`AFTER` steps with a small multiplier.

    An accelerator is waited for once, at that step, and only where the multiplier is small.

    Returns:
        Whether a warning was given.
    """
    for number, group in enumerate(groups):
        if process_group is not None or group["capturable"] or group["differentiable"]:
            continue
        first = next((p for p in group["params"] if has_started(state, p)), None)
        if first is None or state[first]["step"] != AFTER or first.device.type == "meta":
            continue
        lr = float(group["lr"])
        if not 0 < lr < SMALL:
            continue
        # Where nothing moved, the first value can be had again from the parameters as they are now.
        scope = [group] if group["distance"] != "global" else groups
        start = initial_eta(scope)[0]
        eta = state[first]["eta"] if group["distance"] == "tensor" else group["eta"]
        first_value = float(start.reshape(-1)[0])
        if float(eta) <= first_value * (1 + 1e-6):
            warnings.warn(
                f"{name}: after {AFTER} steps eta is still at its first value {first_value:.1e}, so nothing is being "
                f"learnt, and lr = {lr:g} in group {number} is the likely reason: here lr multiplies eta and belongs "
                f"at 1.0 (Adam's 1e-3 does not), or raise eta0.",
                stacklevel=4,
            )
            return True
    return False
