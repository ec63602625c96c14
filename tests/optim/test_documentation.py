"""The code of docs/optimisers.md runs, and the numbers it derives are those the code gives."""

import re
from pathlib import Path

from lemmata.optim import AdaGradPP, AdamPP
from lemmata.papers.parameter_free.theory import growth_steps

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "optimisers.md").read_text()


def _blocks(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_every_python_block_runs_when_pasted_alone():
    readme = [block for block in _blocks((ROOT / "README.md").read_text()) if "lemmata.optim" in block]
    assert readme
    assert _blocks(PAGE)
    for block in (*_blocks(PAGE), *readme):
        exec(compile(block, "page", "exec"), {})


def test_the_condition_of_the_rate_is_said_where_the_methods_are():
    for text in (PAGE, AdamPP.__doc__, AdaGradPP.__doc__):
        assert "conditional on bounded iterates" in " ".join(text.split())


def test_growth_phase_numbers():
    steps = [str(growth_steps(eta0, 0.35)) for eta0 in (1e-8, 1e-6, 1e-4)]
    assert f"needs {', '.join(steps)} steps" in PAGE
