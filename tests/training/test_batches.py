"""Facts about whole-tensor minibatches."""

from itertools import chain

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch.utils.data import DataLoader, Subset, TensorDataset

from skmixup.training.batches import (
    ArrayDataset,
    TensorBatches,
    as_tensor,
    auto_batch_size,
    in_memory,
)

N = 23


def data(n=N, weight=False):
    X = np.arange(3.0 * n, dtype=np.float32).reshape(n, 3)
    y = np.array([f"class {i}" for i in range(n)])
    return ArrayDataset(X, y, np.arange(n), np.arange(n) / 2 if weight else None)


def flat(lists):
    return list(chain.from_iterable(lists))


def rows(batches):
    return [y.tolist() for _, y in batches]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 11, 22, 23, 24, 1000])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_row_comes_once_an_epoch_in_batches_of_the_size_asked_for(batch_size, shuffle):
    batches = TensorBatches(data(), batch_size, shuffle=shuffle)
    found = rows(batches)
    full, rest = divmod(N, batch_size)
    assert [len(batch) for batch in found] == [batch_size] * full + [rest] * (rest > 0)
    assert len(batches) == len(found)
    assert sorted(flat(found)) == list(range(N))


def test_without_shuffling_rows_come_in_order():
    assert flat(rows(TensorBatches(data(), 4))) == list(range(N))


def test_shuffled_rows_come_in_a_new_order_each_epoch_that_the_seed_decides():
    batches = TensorBatches(data(), 4, shuffle=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = rows(batches), rows(batches)
        torch.manual_seed(0)
        assert rows(batches) == first
    assert first != second


def test_inputs_codes_and_weights_of_a_row_stay_together():
    for X, (y, weight) in TensorBatches(data(weight=True), 4, shuffle=True):
        assert torch.equal(X[:, 0], 3.0 * y)
        assert torch.equal(weight, y / 2)


def test_drop_last_leaves_out_the_batch_that_is_not_full():
    batches = TensorBatches(data(), 4, drop_last=True)
    assert [len(batch) for batch in rows(batches)] == [4] * 5
    assert len(batches) == 5
    assert rows(TensorBatches(data(20), 4, drop_last=True)) == rows(TensorBatches(data(20), 4))


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_subset_of_a_subset_gives_its_own_rows(shuffle):
    subset = Subset(Subset(data(), [20, 3, 7, 11, 2]), [4, 0, 1])
    found = flat(rows(TensorBatches(subset, 2, shuffle=shuffle)))
    assert (sorted(found) if shuffle else found) == ([2, 3, 20] if shuffle else [2, 20, 3])


def test_skorchs_split_is_read_without_copying():
    train, valid = ValidSplit(5, stratified=False)(data(), None)
    assert in_memory(train)[0] is in_memory(valid)[0]
    both = flat(rows(TensorBatches(train, 4)) + rows(TensorBatches(valid, 4)))
    assert sorted(both) == list(range(N))


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 2, 3), (6, 1, 4, 5), (6, 2, 1, 2, 3)])
def test_rows_of_any_rank(shape):
    X = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = torch.cat([X for X, _ in TensorBatches(ArrayDataset(X), 4)])
    assert np.array_equal(found.numpy(), X)


@pytest.mark.parametrize("shuffle", [False, True])
def test_writing_to_a_batch_does_not_change_the_data(shuffle):
    dataset = data()
    kept = dataset.X.copy()
    for X, _ in TensorBatches(dataset, 4, shuffle=shuffle):
        X.fill_(-1)
    assert np.array_equal(dataset.X, kept)


def test_the_data_are_not_copied():
    dataset = data()
    assert dataset.inputs.data_ptr() == dataset.X.ctypes.data
    read_only = dataset.X.copy()
    read_only.flags.writeable = False
    assert as_tensor(read_only).data_ptr() == read_only.ctypes.data


def test_arrays_with_negative_strides_are_read_in_their_order():
    assert as_tensor(np.arange(4)[::-1]).tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("weight", [False, True])
def test_a_dataloader_reads_the_same_rows_one_by_one(weight):
    dataset = data(weight=weight)
    for (X, y), (X_one_by_one, y_one_by_one) in zip(
        TensorBatches(dataset, 4), DataLoader(dataset, 4), strict=True
    ):
        assert torch.equal(X, X_one_by_one)
        y, y_one_by_one = (y, y_one_by_one) if weight else ([y], [y_one_by_one])
        for whole, collated in zip(y, y_one_by_one, strict=True):
            assert torch.equal(whole, collated)


def test_data_sets_of_the_user_are_refused():
    with pytest.raises(TypeError, match=r"not TensorDataset; use torch.utils.data.DataLoader"):
        TensorBatches(TensorDataset(torch.zeros(3, 2)), 2)


def test_what_a_users_subclass_does_to_a_row_is_not_passed_over():
    class Doubled(ArrayDataset):
        def __getitem__(self, i):
            X, y = super().__getitem__(i)
            return 2 * X, y

    class DoubledSubset(Subset):
        def __getitem__(self, i):
            X, y = super().__getitem__(i)
            return 2 * X, y

        def __getitems__(self, indices):
            return [self[i] for i in indices]

    # None: not read as whole tensors, so that a DataLoader calls __getitem__.
    assert in_memory(Doubled(np.zeros((3, 2)))) is None
    assert in_memory(DoubledSubset(data(), [0, 1])) is None


def test_auto_batch_size_grows_with_the_rows():
    sizes = {n: auto_batch_size(n) for n in (1, 100, 1000, 1797, 4096, 8192, 20_000, 10**6)}
    assert sizes == {
        **{1: 16, 100: 16, 1000: 32, 1797: 64},
        **{4096: 64, 8192: 64, 20_000: 128, 10**6: 256},
    }
