"""Who gets the threads, and that the numbers do not depend on how many there are."""

import dataclasses
import threading

import pytest
import torch

import lemmata as lm
from lemmata.threads import each, one_for_torch


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def where(_):
    return threading.get_ident(), torch.get_num_threads()


def test_pieces_are_dealt_out_where_pytorch_is_held_to_one_thread(torch_threads):
    torch_threads(3)
    here = threading.get_ident()
    assert {ident for ident, _ in each(where, range(5))} == {here}
    with one_for_torch(True):
        found = each(where, range(5))
        assert here not in {ident for ident, _ in found}
        assert {count for _, count in found} == {1}
        assert each(lambda x: x * x, range(9)) == [x * x for x in range(9)]
        inside = each(lambda _: (threading.get_ident(), {ident for ident, _ in each(where, range(3))}), range(4))
        assert all(idents == {ident} for ident, idents in inside)  # no threads within threads
        with one_for_torch(True):
            assert here not in {ident for ident, _ in each(where, range(5))}
    assert torch.get_num_threads() == 3
    assert {ident for ident, _ in each(where, range(5))} == {here}


@pytest.mark.parametrize("wanted", [True, False])
def test_one_thread_stays_one(torch_threads, wanted):
    torch_threads(1)
    with one_for_torch(wanted):
        assert {ident for ident, _ in each(where, range(5))} == {threading.get_ident()}


def test_an_error_in_a_piece_is_raised_and_threads_given_back(torch_threads):
    torch_threads(2)

    def fails(piece):
        raise OSError(f"piece {piece}")

    with pytest.raises(OSError, match="piece 0"), one_for_torch(True):
        each(fails, range(3))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("probe", ["test_error", "test_error_check"])
def test_numbers_do_not_depend_on_the_number_of_threads(torch_threads, probe):
    run = lm.Run(lm.SignalNoise(12, 300, 2.0), lm.TwoLayerCNN(6), steps=60)
    run = dataclasses.replace(run, probes=(probe, "train_loss"))
    found = []
    for count in (1, 3):
        torch_threads(count)
        found.append(lm.train(run, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5] * 4).records)
    for name, values in found[0].items():
        assert torch.equal(values.nan_to_num(), found[1][name].nan_to_num())
