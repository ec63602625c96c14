"""Prompts of Bayesian networks: their law, the truth kept with them, both forms of a prompt, and what is refused."""

from collections import Counter

import pytest
import torch

from lemmata.draws import cell_seeds
from lemmata.prompts.bayesian_networks import NetworkPrompts, NetworkSamples, joint, token_table
from lemmata.prompts.dags import GRAPHS, Dag, chain, random_dag, tree
from lemmata.prompts.tables import LAWS, draw_tables

SEEDS = cell_seeds(0, range(3))
WORKED = Dag(((), (0,), (0, 1)))


def by_loops(dag, samples, query, asked):
    """Counts of the asked variable's values among the samples that agree with the query on its parents."""
    of = dag.parents[asked]
    agree = [x for x in samples if all(x[p] == query[p] for p in of)]
    found = Counter(x[asked] for x in agree)
    return [float(found[v]) for v in range(dag.d)]


def worked(asked):
    """Context (0,0,1), (0,1,0), (1,1,1), (1,1,0), (0,1,1), query (0,1,?)."""
    samples = torch.tensor([[[1, 2, 7, 6, 3]]])
    tables = torch.full((1, 1, WORKED.rows, 2), 0.5, dtype=torch.float64)
    return NetworkSamples(samples, torch.tensor([[2]]), torch.tensor([[asked]]), tables, WORKED)


@pytest.mark.parametrize(("asked", "counts"), [(0, [3, 2]), (1, [1, 2]), (2, [1, 1])])
def test_the_worked_example(asked, counts):
    prompts = worked(asked)
    assert prompts.table_counts().flatten().tolist() == counts
    if asked == 2:
        rows = [[1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1],
                [0, 1, 0, 1, 0, 0], [1, 0, 1, 0, 1, 0], [0] * 6, [0] * 6, [0, 0, 0, 0, 0, 1]]  # fmt: skip
        assert prompts.tokens[0, 0].T.tolist() == rows


@pytest.mark.parametrize("dag", [GRAPHS["general"], random_dag(SEEDS[:1], 4, 3)], ids=["general", "random"])
def test_counts_are_those_of_loops(dag):
    prompts = NetworkPrompts(dag, 20, "mixed-dirichlet").draw(SEEDS, "x", 15, torch.float64)
    for graph in (dag, dag.complete, dag.empty):
        found = prompts.table_counts(graph)
        for c, b in [(0, 0), (1, 7), (2, 14), (0, 9), (1, 3)]:
            samples, query = dag.values[prompts.samples[c, b]].tolist(), dag.values[prompts.query[c, b]].tolist()
            assert found[c, b].tolist() == by_loops(graph, samples, query, int(prompts.asked[c, b]))


def test_a_multiset_is_the_same_prompt():
    prompts = NetworkPrompts(GRAPHS["general"], 30).draw(SEEDS, "x", 6, torch.float64)
    tokens, (counted, times) = prompts.tokens, (prompts.multiset.tokens, prompts.multiset.multiplicity)
    assert torch.equal(tokens[:, :, -1], counted[:, :, -1])
    torch.testing.assert_close((counted * times.unsqueeze(3)).sum(2), tokens.sum(2))
    assert prompts.counts.sum(2).eq(30).all()
    assert len(token_table(GRAPHS["general"]).unique(dim=0)) == 32 + 31


def test_a_cell_does_not_know_its_tile():
    law = NetworkPrompts(tree(5), 10, low=torch.tensor([0.1, 0.2, 0.3]))
    alone = NetworkPrompts(tree(5), 10, low=0.2).draw(SEEDS[1:2], "x", 4)
    assert torch.equal(law.draw(SEEDS, "x", 4).tokens[1:2], alone.tokens)


def test_samples_have_the_law_of_their_network():
    """Frequencies of states in 40 000 samples within five standard errors, and rows that are the conditional laws."""
    dag = GRAPHS["general"]
    prompts = NetworkPrompts(dag, 40_000).draw(SEEDS[:1], "x", 1, torch.float64)
    law = joint(dag, prompts.tables)
    assert float(law.sum()) == pytest.approx(1, abs=1e-12)
    error = (prompts.counts / 40_000 - law).abs()
    assert bool((error < 5 * (law * (1 - law) / 40_000).sqrt() + 1e-12).all())
    state, m, of = int(prompts.query), int(prompts.asked), dag.parents[int(prompts.asked)]
    agree = (dag.values[:, list(of)] == dag.values[state, list(of)]).all(1)
    given = torch.stack([law[0, 0, agree & (dag.values[:, m] == v)].sum() for v in range(2)])
    torch.testing.assert_close(prompts.truth[0, 0], given / given.sum())
    assert int(prompts.targets) == int(dag.values[state, m])


@pytest.mark.parametrize("law", LAWS)
def test_rows_of_tables_sum_to_one(law):
    rows = draw_tables(law, SEEDS, "x", (400, 3), 2, concentration=0.4)
    torch.testing.assert_close(rows.sum(-1), torch.ones(3, 400, 3, dtype=torch.float64))
    p = rows[..., 0]
    assert float(p.mean()) == pytest.approx(0.5, abs=0.03)
    variance = {"uniform": 0.8**2 / 12, "two-sided": 0.275**2 + 0.15**2 / 12, "beta": 1 / (4 * 1.8),
                "dirichlet": 1 / (4 * 1.8), "mixed-dirichlet": 0.81 / 12}  # fmt: skip
    assert float(p.var()) == pytest.approx(variance[law], rel=0.08)


def test_edges_are_put_in_order():
    dag, order = Dag.of_edges(3, [(2, 0), (0, 1), (2, 1)])
    assert (dag.parents, order) == (((), (0,), (1, 0)), (2, 0, 1))
    assert sum(map(len, GRAPHS["sachs"].parents)) == 18
    assert chain(3).parents == ((), (0,), (1,))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Dag.of_edges(3, [(0, 1), (1, 2), (2, 1)]), "close a cycle"),
        (lambda: Dag(((1,), ())), "only variables before it"),
        (lambda: Dag(()), "at least one"),
        (lambda: Dag(((),), 1), "at least 2"),
        (lambda: chain(30), "at most 262144"),
        (lambda: NetworkPrompts(chain(3), 0), "n = 0"),
        (lambda: NetworkPrompts(chain(3), asked=3), "0 to 2"),
        (lambda: draw_tables("beta", SEEDS, "x", (1,), 3), "'dirichlet'"),
        (lambda: draw_tables("gamma", SEEDS, "x", (1,), 2), "there are uniform"),
    ],
)
def test_what_is_refused_in_one_sentence(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()
