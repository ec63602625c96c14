"""The constructed network against in-context maximum likelihood, baselines against loops, and the trainings' laws."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.draws import cell_seeds
from lemmata.modules.attention import apply
from lemmata.papers.bayesian_networks import baselines, construction, theory
from lemmata.papers.bayesian_networks.attention import looked_at
from lemmata.papers.bayesian_networks.generation import beginnings, generate, law_of_sequences, laws_of_steps
from lemmata.papers.bayesian_networks.setting import TrainedBody
from lemmata.prompts.bayesian_networks import NetworkPrompts
from lemmata.prompts.dags import GRAPHS, random_dag

SEEDS = cell_seeds(0, range(2))


@given(seed=st.integers(0, 10**6), M=st.integers(1, 5), d=st.integers(2, 3), n=st.integers(1, 40), causal=st.booleans())
@settings(max_examples=15, deadline=None)
def test_the_construction_is_maximum_likelihood_in_context(seed, M, d, n, causal):
    """To rounding at λ = 40 over graphs, values, masks and variables; within its bound at λ = 4."""
    seeds = cell_seeds(seed, [0])
    dag = random_dag(seeds, M, d, 0.6, 3)
    prompts = NetworkPrompts(dag, n, "mixed-dirichlet").draw(seeds.repeat(2), "x", 12, torch.float64)
    net, lam = construction.network(dag, causal=causal), torch.tensor([4.0, 40.0], dtype=torch.float64)
    out = apply(net, construction.parameters(dag, lam), prompts.tokens)
    torch.testing.assert_close(out[1], baselines.mle(prompts, unseen="backoff")[1], rtol=0, atol=1e-12)
    seen = prompts.table_counts().sum(-1)[0]
    error = baselines.total_variation(out[0], baselines.mle(prompts)[0])
    assert bool((error[seen > 0] <= torch.tensor(theory.error_bound(n, seen, 4.0))[seen > 0] + 1e-12).all())
    if not causal:
        counted = apply(net, construction.parameters(dag, lam), prompts.multiset)
        torch.testing.assert_close(counted, out, rtol=0, atol=1e-12)


def test_its_error_law_is_exact():
    """Attention outside the agreeing samples is Z/(k + Z), by loops."""
    dag, lam = GRAPHS["general"], 2.0
    prompts = NetworkPrompts(dag, 20).draw(SEEDS[:1], "x", 60, torch.float64)
    out = apply(construction.network(dag), construction.parameters(dag, torch.tensor([lam])), prompts.tokens)[0]
    for b in range(60):
        weight = (-lam * prompts.mismatches()[0, b].double()).exp()
        expected = (weight.unsqueeze(1) * prompts.values_of_asked()[0, b]).sum(0) / weight.sum()
        torch.testing.assert_close(out[b], expected, rtol=0, atol=1e-12)


def test_dummies_make_it_the_rule_of_laplace():
    dag = random_dag(SEEDS[:1], 5, 3, 0.6, 3)
    prompts = NetworkPrompts(dag, 15, "dirichlet").draw(SEEDS[:1], "x", 40, torch.float64)
    weights = construction.parameters(dag, torch.tensor([40.0]), torch.tensor([200.0]), smoothing=True)
    tokens = construction.with_dummies(prompts.tokens, dag, dag.d)
    out = apply(construction.network(dag, smoothing=True), weights, tokens)
    torch.testing.assert_close(out, baselines.smoothed(prompts, dag.d), rtol=0, atol=1e-12)


def test_only_keys_and_queries_grow_with_lambda():
    norms = construction.spectral_norms(construction.parameters(GRAPHS["tree"], torch.tensor([5.0, 50.0])))
    assert norms["1.kq"].tolist() == pytest.approx([45, 90])
    assert all(torch.equal(value[0], value[1]) for name, value in norms.items() if name != "1.kq")
    with pytest.raises(ValueError, match="take λ above 0"):
        construction.parameters(GRAPHS["tree"], torch.tensor([0.0]))


def test_baselines_reach_the_table_of_the_reference():
    """Total variation to the truth, mean over variables, 1500 networks with tables from U(0.1, 0.9): within 10 %."""
    expected = {"mle": 0.0737, "laplace": 0.0665, "naive": 0.106, "marginal": 0.111}
    prompts = NetworkPrompts(GRAPHS["general"], 50).draw(SEEDS[:1], "x", 7500, torch.float64)
    found = baselines.estimates(prompts, 0.1, 0.9)
    error = {name: float(baselines.total_variation(found[name], prompts.truth).mean()) for name in baselines.NAMES}
    assert {name: error[name] for name in expected} == pytest.approx(expected, rel=0.1)
    assert error["posterior"] < error["laplace"]
    apart = baselines.total_variation(found["mle"], found["posterior"]).mean()
    assert float(apart) == pytest.approx(0.0284, rel=0.1)


def test_what_becomes_of_a_configuration_that_does_not_occur():
    prompts = NetworkPrompts(GRAPHS["general"], 1).draw(SEEDS[:1], "x", 400, torch.float64)
    missing = prompts.table_counts().sum(-1) == 0
    assert 0.1 < float(missing.double().mean()) < 0.9
    assert bool((baselines.mle(prompts)[missing] == 0.5).all())
    failed = baselines.mle(prompts, unseen="fail")
    assert bool(failed[missing].isnan().all())
    published = baselines.total_variation(failed, prompts.truth)
    assert bool((published[missing] == 1).all())
    assert float(published.mean()) == pytest.approx(0.611, rel=0.1)
    with pytest.raises(ValueError, match="of 400 contexts do not show"):
        baselines.mle(prompts, unseen="error")
    with pytest.raises(ValueError, match="there are backoff"):
        baselines.mle(prompts, unseen="skip")  # type: ignore[arg-type]


def test_enough_lambda_for_an_error():
    assert theory.error_of(50, theory.lam_for(50, 1e-6)) == pytest.approx(1e-6)
    assert theory.error_bound(10, [5, 0], 0.0).tolist() == [1.0, np.inf]
    assert theory.norm_bound(5, 2, 50, 1e-6) > theory.lam_for(50, 1e-6)


def test_generation_multiplies_answers_and_draws_from_the_product():
    """The joint law by loops over all sequences, and frequencies of draws within five standard errors."""
    dag = GRAPHS["wet-grass"]
    prompts = NetworkPrompts(dag, 30).draw(SEEDS[:1], "x", 1, torch.float64)
    steps = laws_of_steps(lambda asked: baselines.smoothed(asked, 2.0), prompts)
    law = law_of_sequences(steps)
    for state in (0, 5, 11, 15):
        product = 1.0
        for m, value in enumerate(dag.values[state].tolist()):
            asked = beginnings(prompts, m)
            product *= float(baselines.smoothed(asked, 2.0)[0, state >> (dag.M - m), value])
        assert float(law[state]) == pytest.approx(product, rel=1e-12)
    assert float(law.sum()) == pytest.approx(1, abs=1e-12)
    shares = torch.bincount(generate(steps, SEEDS[:1], "draw", 40_000), minlength=16) / 40_000
    assert bool(((shares - law).abs() < 5 * (law * (1 - law) / 40_000).sqrt()).all())


def test_the_constructed_query_looks_at_agreeing_samples():
    dag = GRAPHS["general"]
    prompts = NetworkPrompts(dag, 20).draw(SEEDS[:1], "x", 10, torch.float64)
    weights = construction.parameters(dag, torch.tensor([40.0]))
    _, attention = looked_at(construction.network(dag), weights, prompts)
    agrees = (prompts.mismatches() == 0).double()
    seen = agrees.sum(2) > 0
    even = agrees / agrees.sum(2, keepdim=True).clamp_min(1)
    torch.testing.assert_close(attention[:, :, 0, 0][seen], even[seen], rtol=0, atol=1e-12)


def test_a_trained_network_is_a_function_of_the_multiset_and_learns():
    body = TrainedBody(
        graph="wet-grass", n=20, steps=100, batch=32, width=16, heads=2, tested=100, records=1, rate=5e-3
    )
    _, trained = body.trained([{"seed": 0}])
    net, prompts = body.network, body.law(20).draw(SEEDS[:1], "x", 8)
    turned = dataclasses.replace(prompts, samples=prompts.samples.flip(2))
    said = apply(net, trained.parameters, prompts.tokens)
    torch.testing.assert_close(apply(net, trained.parameters, turned.tokens), said, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(apply(net, trained.parameters, prompts.multiset), said, rtol=1e-4, atol=1e-5)
    assert trained.records["to_mle/2"][0, -1] < 0.8 * trained.records["to_mle/2"][0, 0]
    with pytest.raises(ValueError, match="do not divide"):
        TrainedBody(width=30, heads=4).task([{}])
