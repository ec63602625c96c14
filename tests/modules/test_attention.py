"""One attention code: equal to ordinary modules, equal in its three forms, blind to tiles and to order."""

import dataclasses

import pytest
import torch

from lemmata.draws import cell_seeds, normal, uniform
from lemmata.modules.attention import AttentionNetwork, Block, apply, form_of, to_module, to_multihead_attention, traced
from lemmata.prompts.prompt import Multiset

SEEDS = cell_seeds(3, range(3))
TRAINED = AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2)
MERGED = Block(3, "softmax", "merged", hidden=6, activation="relu", norm="none")
NETWORKS = {
    "trained": TRAINED,
    "one layer": AttentionNetwork.uniform(5, 3, layers=1, width=8, heads=4),
    "three layers": AttentionNetwork.uniform(5, 3, layers=3, width=8, heads=1),
    "relu": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, kind="relu"),
    "linear": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, kind="linear"),
    "merged": AttentionNetwork(5, (MERGED, MERGED)),
    "merged relu pre": AttentionNetwork(
        5, (Block(2, "relu", "merged"), Block(2, "relu", "merged", hidden=4)), outputs=2
    ),
    "unit rows": AttentionNetwork(5, (Block(2, "linear", "merged", norm="unit", hidden=4),) * 2),
    "no attention first": AttentionNetwork(5, (Block(0, hidden=7), Block(1, key_query="merged", norm="none"))),
    "mean": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, readout="mean"),
}
ORDERED = {
    "positions": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, positions=9),
    "causal": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, causal=True),
    "causal relu": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, causal=True, kind="relu"),
    "causal merged": AttentionNetwork(5, (MERGED, dataclasses.replace(MERGED, kind="linear")), causal=True),
    "flatten": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, readout="flatten", tokens=7),
    "first": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, readout="first"),
    "all": AttentionNetwork.uniform(5, 2, layers=2, width=8, heads=2, readout="all"),
}
ALL = NETWORKS | ORDERED


def drawn(network, cells=3):
    """Parameters in which nothing is 0 or 1, so that no part can hide."""
    seeds = SEEDS[:cells]
    parameters = network.start(seeds, torch.float64)
    return {
        name: (uniform(seeds, name, t.shape[1:]) < 0.5).double()
        if name.endswith("unit")
        else t + 0.1 * normal(seeds, name, t.shape[1:])
        for name, t in parameters.items()
    }


def tokens_of(cells=3, n=7, b=4):
    return normal(SEEDS[:cells], "tokens", (b, n, 5))


@pytest.mark.parametrize("name", ALL)
def test_equal_to_the_ordinary_module(name):
    network, x = ALL[name], tokens_of()
    parameters = drawn(network)
    for form in {"dense", form_of(network, x)}:
        out = apply(network, parameters, x, form=form)
        for cell in range(3):
            module = to_module(network, parameters, cell)
            assert torch.allclose(out[cell], module(x[cell]), rtol=0, atol=1e-11)
    assert sum(p.numel() for p in module.parameters()) == sum(t[0].numel() for t in parameters.values())


@pytest.mark.parametrize("name", ALL)
def test_a_cell_does_not_know_its_tile(name):
    network, x, parameters = ALL[name], tokens_of(), drawn(ALL[name])
    one = {k: t[1:2] for k, t in parameters.items()}
    dense = [apply(network, p, t, form="dense") for p, t in ((parameters, x), (one, x[1:2]))]
    assert torch.equal(dense[0][1:2], dense[1])
    auto = [apply(network, p, t) for p, t in ((parameters, x), (one, x[1:2]))]
    assert torch.allclose(auto[0][1:2], auto[1], rtol=0, atol=1e-12)


def multiset(kinds=4, queries=3, b=6):
    table = normal(SEEDS[:1], "table", (kinds + queries, 5))[0]
    counts = (uniform(SEEDS, "counts", (b, kinds)) * 4).floor()
    return Multiset(table, counts, (uniform(SEEDS, "query", (b,)) * queries).long())


def written_out(prompts, c, b):
    """The tokens of one prompt given as counts, one after another, ``(1, 1, n, 5)``."""
    rows = [prompts.table[k] for k in range(prompts.kinds) for _ in range(int(prompts.counts[c, b, k]))]
    return torch.stack([*rows, prompts.table[prompts.kinds + prompts.query[c, b]]])[None, None]


@pytest.mark.parametrize("name", NETWORKS)
def test_counts_are_the_prompt_written_out(name):
    network, prompts, parameters = NETWORKS[name], multiset(), drawn(NETWORKS[name])
    out = {form: apply(network, parameters, prompts, form=form) for form in ("dense", "counts")}
    for c in range(3):
        one = {k: t[c : c + 1] for k, t in parameters.items()}
        for b in range(6):
            expected = apply(network, one, written_out(prompts, c, b), form="dense")[0, 0]
            for form, found in out.items():
                assert torch.allclose(found[c, b], expected, rtol=0, atol=1e-11), form


def test_counts_hold_where_an_absent_token_outscores_all_others():
    prompts, parameters = multiset(), drawn(TRAINED)
    parameters["0.qkv.w"] = parameters["0.qkv.w"] * 60
    found = apply(TRAINED, parameters, prompts, form="counts")
    assert torch.allclose(found, apply(TRAINED, parameters, prompts, form="dense"), rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["trained", "one layer", "merged", "relu"])
def test_gradients_of_the_three_forms_agree(name):
    network, prompts = NETWORKS[name], multiset()
    gradients = {}
    for form in ("dense", "query", "counts"):
        parameters = {k: t.requires_grad_() for k, t in drawn(network).items()}
        out = apply(network, parameters, prompts, form=form)
        gradients[form] = torch.autograd.grad(out.square().sum(), list(parameters.values()), materialize_grads=True)
    for form in ("query", "counts"):
        for a, b in zip(gradients[form], gradients["dense"]):
            assert torch.allclose(a, b, rtol=1e-11, atol=1e-11), form


@pytest.mark.parametrize("name", NETWORKS)
def test_order_of_the_context_does_not_matter(name):
    network, x, parameters = NETWORKS[name], tokens_of(), drawn(NETWORKS[name])
    turned = torch.cat([x[:, :, [3, 0, 5, 1, 4, 2]], x[:, :, 6:]], 2)
    assert torch.allclose(apply(network, parameters, x), apply(network, parameters, turned), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["positions", "causal"])
def test_order_matters_where_it_should(name):
    network, x, parameters = ORDERED[name], tokens_of(), drawn(ORDERED[name])
    turned = torch.cat([x[:, :, [3, 0, 5, 1, 4, 2]], x[:, :, 6:]], 2)
    assert (apply(network, parameters, x) - apply(network, parameters, turned)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["trained", "relu", "merged", "mean"])
def test_padding_is_not_seen(name):
    network, x, parameters = NETWORKS[name], tokens_of(), drawn(NETWORKS[name])
    times = torch.ones(3, 4, 7, dtype=torch.float64)
    times[:, :, 2:4] = 0
    short = apply(network, parameters, torch.cat([x[:, :, :2], x[:, :, 4:]], 2))
    for form in ("auto", "dense"):
        assert torch.allclose(apply(network, parameters, x, times=times, form=form), short, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_traces_tell_what_was_read(name):
    network, x, parameters = ALL[name], tokens_of(), drawn(ALL[name])
    out, trace = traced(network, parameters, x)
    assert torch.allclose(out, apply(network, parameters, x), rtol=0, atol=1e-12)
    assert [h.shape for h in trace.hidden] == [(3, 4, 7, network.hidden_width)] * (len(network.blocks) + 1)
    for a, kind in zip(trace.attention, network.blocks):
        assert a.numel() == (3 * 4 * kind.heads * 49 if kind.heads else 0)
        if kind.kind == "softmax" and kind.heads:
            assert torch.allclose(a.sum(-1), torch.ones((), dtype=a.dtype))
        if network.causal:
            assert a.triu(1).abs().max() == 0


def test_a_hidden_state_follows_from_the_attention_before_it():
    network, x = NETWORKS["no attention first"], tokens_of()
    parameters = drawn(network)
    _, trace = traced(network, parameters, x)
    value = parameters["1.value"][:, 0]
    read = torch.einsum("cbij,cde,cbje->cbid", trace.attention[1][:, :, 0], value, trace.hidden[1])
    assert torch.allclose(trace.hidden[2], trace.hidden[1] + read, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["trained", "no attention first"])
def test_attention_of_torch_with_the_same_weights(name):
    network, parameters = NETWORKS[name], drawn(NETWORKS[name])
    layer = len(network.blocks) - 1
    x = normal(SEEDS[:1], "x", (4, 7, network.hidden_width))[0]
    module = to_multihead_attention(network, parameters, layer, cell=2)
    one = dataclasses.replace(
        network, inputs=network.hidden_width, width=None, outputs=None, readout="all", final_norm=False,
        blocks=(dataclasses.replace(network.blocks[layer], norm="none", hidden=0),),
    )  # fmt: skip
    names = [name for name in ("qkv.w", "qkv.b", "out.w", "out.b", "kq", "value") if f"{layer}.{name}" in parameters]
    mine = {f"0.{name}": parameters[f"{layer}.{name}"][2:] for name in names}
    expected = apply(one, mine, x[None])[0] - x
    assert torch.allclose(module(x, x, x, need_weights=False)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: AttentionNetwork.uniform(5, 2, layers=1, width=8, heads=3),
            "3 heads were asked for and do not divide",
        ),
        (lambda: Block(kind="hard"), "kind = 'hard' was asked for"),
        (lambda: Block(heads=-1), "heads = -1 was asked for"),
        (lambda: AttentionNetwork(0, ()), "inputs = 0 was asked for"),
        (lambda: AttentionNetwork(5, (), readout="flatten"), "needs the number of tokens"),
        (lambda: apply(TRAINED, drawn(TRAINED), torch.zeros(3, 1, 4, 6)), "tokens of width 6 were given"),
        (
            lambda: apply(ORDERED["positions"], drawn(ORDERED["positions"]), tokens_of(n=10)),
            "a prompt of 10 tokens was given to a network with 9 learned positions",
        ),
        (lambda: apply(ORDERED["causal"], drawn(ORDERED["causal"]), multiset()), "have no order"),
        (lambda: apply(TRAINED, drawn(TRAINED), tokens_of(), form="counts"), "give a Multiset"),
        (lambda: apply(ORDERED["all"], drawn(ORDERED["all"]), tokens_of(), form="query"), "ask for 'dense'"),
        (lambda: to_module(TRAINED, drawn(NETWORKS["one layer"])), "'1.down.b' is missing; the network has read.w"),
        (lambda: to_module(TRAINED, drawn(TRAINED), 3), "cell 3 was asked for"),
        (lambda: to_multihead_attention(NETWORKS["merged"], drawn(NETWORKS["merged"]), 0), "export one with a single"),
        (lambda: to_multihead_attention(NETWORKS["relu"], drawn(NETWORKS["relu"]), 0), "2 heads of relu attention"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
