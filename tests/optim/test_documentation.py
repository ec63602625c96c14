"""The code of docs/optimisers.md runs, and the numbers it derives are those the code gives."""

import re
from pathlib import Path

from lemmata.papers.parameter_free.theory import growth_steps

PAGE = (Path(__file__).parents[2] / "docs" / "optimisers.md").read_text()


def test_every_python_block_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/optimisers.md", "exec"), {})


def test_growth_phase_numbers():
    steps = [str(growth_steps(eta0, 0.35)) for eta0 in (1e-8, 1e-6, 1e-4)]
    assert f"needs {', '.join(steps)} steps" in PAGE
