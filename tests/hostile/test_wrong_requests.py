"""Wrong requests to every experiment, found by walking its own parameters: one sentence each, and nothing written.

Each parameter is given values of the wrong kind, beyond its range, not finite, absurdly large and empty; besides,
options that do not exist, said twice or left without a value. ``LEMMATA_HOSTILE=all`` tries all of them, thousands.
"""

import itertools
import os

import pytest

from lemmata import cli
from lemmata.commands.refusing import flag_of
from lemmata.lab.cards import cards
from lemmata.lab.find import find

EACH = 10**6 if os.environ.get("LEMMATA_HOSTILE") == "all" else 10
"""Requests per experiment."""
TRIED = []


def wrong_values(says):
    """Values that a parameter does not take, as they are typed."""
    yield from {int: ("1.5", "x"), float: ("x",), bool: ("perhaps",), str: ()}[says.kind]
    if says.kind in (int, float):
        yield from ("inf", "nan", "-inf", "1e308", "99999999999999999999999999999999")
        for limit, step in ((says.least, -1), (says.above, 0), (says.most, 1), (says.below, 0)):
            if limit is not None:
                yield repr(limit + step * max(1, abs(limit)))
    if says.choices:
        yield "nonsense"
    yield ""


def wrong_requests(name):
    experiment = find(name)
    for parameter, says in experiment.parameters().items():
        for value in wrong_values(says):
            yield [flag_of(parameter), value]
    yield from (["--nonsense", "1"], ["--size", "huge"], ["--seeds", "0"], ["--seeds", "x"], ["--seeds"])
    yield from (["--size", "smoke", "--size", "laptop"], ["--executor", "cloud"], ["--executor", ""], ["--out", ""])


def spread(requests):
    """A fixed choice of ``EACH`` of them, from everywhere in the list."""
    requests = list(requests)
    step = max(1, len(requests) // EACH)
    return list(itertools.islice(requests[::step], EACH))


@pytest.mark.parametrize("name", cards())
def test_every_wrong_request_is_one_sentence_and_writes_nothing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for request in spread(wrong_requests(name)):
        TRIED.append(request)
        code = cli.main(["run", name, "--size", "smoke", *request])
        error = capsys.readouterr().err
        assert code == 2, f"{request} was accepted"
        assert error.count("\n") == 1, f"{request}: {error}"
        assert error.startswith("lemmata: "), f"{request}: {error}"
        assert "Traceback" not in error
        assert not list(tmp_path.iterdir()), f"{request} wrote {list(tmp_path.iterdir())}"


def test_enough_was_tried():
    if len(TRIED) > 1 or EACH > 10:
        assert sum(len(spread(wrong_requests(name))) for name in cards()) >= 400
