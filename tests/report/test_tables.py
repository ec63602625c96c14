"""Tables say what the verdicts say, and survive brackets and bars in the text."""

from rich.console import Console

from lemmata.claims import Verdict
from lemmata.report.tables import console_table, markdown_table


def verdict(holds, **texts):
    fields = {"measured": "1.2", "predicted": "1.0", "tolerance": "±20 %", "detail": "worst at n = 20", **texts}
    return Verdict(claim="a", statement="|v| stays [within] 5 %", source="derived here", holds=holds, **fields)


def printed(rows):
    console = Console(width=160, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(console_table(rows, "claims"))
    return capture.get()


def test_console_table_names_each_verdict_and_explains_those_that_do_not_hold():
    text = printed([verdict(True, detail="hidden"), verdict(False), verdict(None, detail="needs v0 = 0.5")])
    for word in ("holds", "FAILS", "not measurable", "[within]", "1.2", "±20 %", "needs v0 = 0.5", "worst at n = 20"):
        assert word in text
    assert "hidden" not in text


def test_markdown_table_escapes_bars():
    lines = markdown_table([verdict(True), verdict(False)]).split("\n")
    assert len(lines) == 4
    assert lines[2].startswith("| \\|v\\| stays [within] 5 % | 1.2 | 1.0 | ±20 % | holds |")
    assert all(line.replace("\\|", "").count("|") == 7 for line in lines)


def test_what_holds_comes_first_and_80_columns_break_no_word():
    rows = [verdict(None), verdict(False, measured="predicted/measured from 0.83 to 1.34"), verdict(True)]
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(console_table(rows))
    text = capture.get()
    assert text.index("holds") < text.index("FAILS") < text.index("not measurable")
    for word in ("predicted/measured", "measurable", "derived"):
        assert word in text
