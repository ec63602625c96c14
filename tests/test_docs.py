"""Tables of claims in the documentation are those of the program: the same claims, none missing, none made up."""

import re

import pytest

from docs.write_tables import ABSTRACT, HERE, SECTION, TABLE, abstract_table
from lemmata.lab.cards import cards
from lemmata.lab.find import find

SECTIONS = [
    pytest.param(found[1], TABLE.search(found[0])[0], id=found[1])
    for page in sorted(HERE.glob("*.md"))
    for found in SECTION.finditer(page.read_text())
    if found[1] in cards() and TABLE.search(found[0])
]


@pytest.mark.parametrize(("name", "table"), SECTIONS)
def test_a_table_has_the_claims_of_its_experiment(name, table):
    written = [re.split(r" \| ", line.strip("| "))[0].replace("\\|", "|") for line in table.strip().split("\n")[2:]]
    assert written == [claim.statement for claim in find(name).claims]


ABSTRACTS = [page for page in sorted(HERE.glob("*.md")) if ABSTRACT.search(page.read_text())]


@pytest.mark.parametrize("page", ABSTRACTS, ids=lambda page: page.name)
def test_an_abstract_stands_beside_the_rows_of_its_page(page):
    text = page.read_text()
    assert ABSTRACT.search(text)[0].strip() == abstract_table(text).strip()
