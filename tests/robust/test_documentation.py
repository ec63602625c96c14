"""The code of docs/fast-adversarial.md runs."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "fast-adversarial.md").read_text()


def test_every_python_block_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/fast-adversarial.md", "exec"), {})
