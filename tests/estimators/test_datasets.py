"""Data sets of the user's own: labels are what they yield, inputs become what the module takes."""

import numpy as np
import pytest
import skorch.dataset
import torch
from sklearn.base import clone
from skorch.helper import SliceDataset
from torch import nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
    VicinalRegressor,
)

RNG = np.random.default_rng(0)
N = 30
CODES = np.arange(N) % 3
X = (4 * RNG.normal(size=(N, 4)) + 8 * np.eye(3, 4)[CODES]).round().clip(0, 20)
ROWS, LABELS = torch.tensor(X, dtype=torch.float32), torch.tensor(CODES)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 3, "random_state": 0}


class Images(Dataset):
    """As torchvision's: lists targets, and transforms them where it yields them."""

    def __init__(self, transform=None, name="targets", labels=CODES):
        self.transform = transform
        self.labels_ = list(labels)
        self.read = 0
        setattr(self, name, self.labels_)

    def __len__(self):
        return N

    def __getitem__(self, i):
        self.read += 1
        label = self.labels_[i]
        return ROWS[i], self.transform(label) if self.transform else label


class Stream(IterableDataset):
    def __iter__(self):
        return iter(TensorDataset(ROWS, LABELS))


def fit(data, y=None, estimator=MixupClassifier, **params):
    return estimator(**FAST | params).fit(data, y)


# ---- labels


TRANSFORMS = {
    "merged": (lambda label: int(label) % 2, [0, 1]),
    "shifted": (lambda label: int(label) + 5, [5, 6, 7]),
    "names": (lambda label: "abc"[label], ["a", "b", "c"]),
    "tensors": (lambda label: torch.tensor(label * 2), [0, 2, 4]),
    "arrays of one": (lambda label: np.array([label * 2]), [0, 2, 4]),
    "a few rows": (lambda label: 1 if label == 2 else int(label), [0, 1]),
}
WRAPPED = {
    "itself": lambda data: data,
    "Subset": lambda data: Subset(data, range(0, N - 3)),
    "ConcatDataset": lambda data: ConcatDataset([data, Subset(data, [0, 1, 2])]),
    "random_split": lambda data: random_split(data, [27, 3])[0],
}


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("name", ["targets", "labels", "y"])
@pytest.mark.parametrize("kind", TRANSFORMS)
def test_classes_are_what_a_data_set_yields_not_what_it_lists(kind, name, wrap):
    transform, classes = TRANSFORMS[kind]
    net = fit(WRAPPED[wrap](Images(transform, name)))
    assert net.classes_.tolist() == classes
    expected = [np.ravel(transform(c))[0] for c in CODES]
    given = fit(Images(transform), np.array(expected))
    assert given.classes_.tolist() == classes


def test_a_class_that_a_transform_changes_in_one_row_of_thousands_is_found():
    class Large(Images):
        def __len__(self):
            return 3000

        def __getitem__(self, i):
            return ROWS[i % N], self.transform(self.labels_[i])

    labels = np.zeros(3000, dtype=int)
    labels[1234], labels[::2] = 2, 1
    data = Large(lambda label: min(int(label), 1), labels=labels)
    assert fit(data, batch_size=1500, max_epochs=1).classes_.tolist() == [0, 1]


def test_listed_labels_that_are_right_are_not_all_read():
    class Counted(Images):
        def __len__(self):
            return 3000

        def __getitem__(self, i):
            self.read += 1
            return ROWS[i % N], self.labels_[i]

    data = Counted(labels=np.arange(3000) % 3)
    MixupClassifier(nn.Linear(4, 3), max_epochs=0).fit(data, None)
    assert data.read < 150
    assert fit(TensorDataset(ROWS, LABELS)).classes_.tolist() == [0, 1, 2]


class Merging(skorch.dataset.Dataset):
    """Made of the arrays of fit; merges two classes."""

    def transform(self, X, y):
        return torch.as_tensor(X), min(int(y), 1)


class Listing(Merging):
    def __getitem__(self, i):
        return self.X[i], self.y[i]


class Silent(Dataset):
    """The same without a list of labels."""

    def __init__(self, X, y):
        self.rows = list(zip(X, y, strict=True))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i][0], min(int(self.rows[i][1]), 1)


@pytest.mark.parametrize("cls", [Merging, Silent])
def test_a_data_set_class_may_change_labels_too(cls):
    net = MixupClassifier(dataset=cls, **FAST | {"max_epochs": 100}).fit(X, CODES)
    assert net.classes_.tolist() == [0, 1]
    merged = fit(X, np.minimum(CODES, 1), max_epochs=100, iterator_train__num_workers=0)
    np.testing.assert_allclose(net.predict_proba(X), merged.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("params", [{"num_workers": 0}, {"collate_fn": default_collate}])
def test_semi_supervised_batches_from_a_loader(params):
    y = np.where(np.arange(N) < 15, CODES, -1)
    params = {f"iterator_train__{name}": value for name, value in params.items()}
    net = InterpolationConsistencyClassifier(**FAST, **params).fit(X, y)
    assert net.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("y", [np.array(["a", "b", "c"])[CODES], CODES[::-1].copy()])
def test_a_y_that_is_not_what_the_data_set_yields_is_an_error(y):
    net = MixupClassifier(**FAST)
    with pytest.raises(ValueError, match=r"y\[0\] is .*, but the data set yields the label 0 the"):
        net.fit(TensorDataset(ROWS, LABELS), y)
    assert not hasattr(net, "module_")
    with pytest.raises(ValueError, match="TensorDataset of 30, y has 29"):
        net.fit(TensorDataset(ROWS, LABELS), CODES[1:])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (lambda label: None, "NaN, None or NA"),
        (lambda label: "x", r"not among the classes \[0, 1, 2\]: \['x'\]"),
        (lambda label: 7, r"not among the classes \[0, 1, 2\]: \[7\]"),
        (lambda label: torch.eye(3)[label], "for one-hot labels"),
    ],
)
def test_labels_that_are_none_of_the_classes_are_found_before_training(label, message):
    net = MixupClassifier(classes=[0, 1, 2], **FAST)
    with pytest.raises(ValueError, match=message):
        net.fit(Images(label), None)
    assert not hasattr(net, "module_")


def test_one_hot_labels_of_a_data_set_are_told():
    with pytest.warns(UserWarning, match=r"every row has exactly one.*np\.argmax"):
        fit(TensorDataset(ROWS, torch.eye(3)[LABELS]))


def test_a_column_of_labels_is_taken_as_labels():
    flat = fit(TensorDataset(ROWS, LABELS)).predict_proba(X)
    assert np.array_equal(fit(TensorDataset(ROWS, LABELS[:, None])).predict_proba(X), flat)


# ---- what is no data set of pairs


@pytest.mark.parametrize("estimator", [MixupClassifier, InterpolationConsistencyClassifier])
def test_a_loader_is_to_be_its_data_set(estimator):
    loader = DataLoader(TensorDataset(ROWS, LABELS), batch_size=8)
    with pytest.raises(
        TypeError, match=r"X is a DataLoader; pass .* loader.dataset, .*batch_size"
    ):
        estimator(**FAST).fit(loader, None)
    with pytest.raises(TypeError, match="X is a DataLoader"):
        estimator(**FAST).fit(X, CODES).predict(loader)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (TensorDataset(ROWS, LABELS, LABELS), "a TensorDataset yields 3 values"),
        (TensorDataset(ROWS), "a TensorDataset yields 1 values"),
        (Subset([{"x": row, "y": 0} for row in ROWS], range(9)), "a Subset yields a dict"),
        (TensorDataset(ROWS[:0], LABELS[:0]), "0 samples"),
    ],
)
def test_a_data_set_that_yields_no_pairs_is_explained(data, found):
    net = MixupClassifier(classes=[0, 1, 2], **FAST)
    with pytest.raises(ValueError, match=found):
        net.fit(data, None)
    assert not hasattr(net, "module_")


@pytest.mark.parametrize("module", [nn.Linear(4, 3), nn.LSTM(4, 3)])
def test_rows_that_are_lists_are_explained(module):
    pairs = [(row.tolist(), int(code)) for row, code in zip(ROWS, CODES, strict=True)]
    net = MixupClassifier(module, classes=[0, 1, 2], max_epochs=1)
    with pytest.raises(TypeError, match="columns of rows that are lists"):
        net.fit(Subset(pairs, range(N)), None)


@pytest.mark.parametrize("data", [TensorDataset(ROWS), list(ROWS)], ids=["tuples", "rows"])
def test_prediction_takes_data_sets_without_labels(data):
    net = fit(X, CODES)
    data = data if isinstance(data, Dataset) else Subset(data, range(N))
    assert np.allclose(net.predict_proba(data), net.predict_proba(X), atol=1e-6)


def test_a_stream_needs_a_module_and_the_classes():
    with pytest.raises(ValueError, match="classes cannot be read from a Stream; pass"):
        fit(Stream())
    params = {"classes": [0, 1, 2], "module": nn.Linear(4, 3), "max_epochs": 3}
    net = MixupClassifier(**params).fit(Stream(), None)
    assert net.predict(Stream()).shape == (N,)


def test_a_refit_on_a_stream_forgets_the_shape_of_the_last_data():
    params = {"classes": [0, 1, 2], "max_epochs": 1, "lr_schedule": None}
    net = MixupClassifier(nn.LazyLinear(3), **params).fit(X[:, :2], CODES)
    net.fit(Stream(), None)
    assert net.predict(X).shape == (N,)


# ---- inputs


def to(kind):
    return lambda rows: rows.to(kind)


NUMBERS = {
    "uint8": to(torch.uint8),
    "int16": to(torch.int16),
    "int64": to(torch.int64),
    "float64": to(torch.float64),
    "float16": to(torch.float16),
    "bfloat16": to(torch.bfloat16),
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("estimator", [MixupClassifier, ManifoldMixupClassifier])
def test_numbers_of_any_type_train_as_arrays_do(kind, estimator):
    data = TensorDataset(NUMBERS[kind](ROWS), LABELS)
    params = {"iterator_train__num_workers": 0}  # a loader, for the same order of rows
    net = fit(data, estimator=estimator)
    same = fit(X, CODES, estimator=estimator, **params)
    np.testing.assert_allclose(net.predict_proba(data), net.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(net.predict_proba(X), same.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("kind", [*NUMBERS, "bool"])
def test_a_module_of_the_users_gets_floating_numbers(kind):
    rows = ROWS > 5 if kind == "bool" else NUMBERS[kind](ROWS)
    linear = {"module": nn.Linear(4, 3), "module__hidden_sizes": None}
    params = {k: v for k, v in (FAST | linear).items() if v is not None}
    net = MixupClassifier(**params).fit(TensorDataset(rows, LABELS), None)
    assert np.array_equal(
        net.predict(TensorDataset(rows, LABELS)), net.predict(rows.float().numpy())
    )


@pytest.mark.parametrize("cls", [skorch.dataset.Dataset, None])
def test_a_data_set_of_float64_arrays(cls):
    class Own(Dataset):
        def __len__(self):
            return N

        def __getitem__(self, i):
            return X[i], CODES[i]

    data = Own() if cls is None else cls(X, CODES)
    net = fit(data, classes=[0, 1, 2])
    np.testing.assert_allclose(net.predict_proba(data), net.predict_proba(X), atol=1e-6)


def test_held_out_data_sets_of_other_types_are_cast_too():
    from skorch.helper import predefined_split

    held_out = TensorDataset(ROWS.to(torch.uint8), LABELS)
    doubles = skorch.dataset.Dataset(X, CODES)
    for data in (held_out, doubles):
        net = fit(X, CODES, train_split=predefined_split(data))
        assert np.isfinite(net.history[-1, "valid_loss"])
        assert net.history[-1, "valid_acc"] == pytest.approx(net.score(X, CODES))


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (DataLoader(TensorDataset(ROWS, LABELS)), "held out by train_split is a DataLoader"),
        (TensorDataset(ROWS, LABELS, LABELS), "TensorDataset yields 3 values"),
        (TensorDataset(ROWS), "TensorDataset yields 1 values"),
        (TensorDataset(ROWS, LABELS + 5), r"not among the classes \[0, 1, 2\]"),
        (Subset([(row, "a") for row in ROWS], range(9)), r"not among the classes \[0, 1, 2\]"),
    ],
    ids=["loader", "three", "one", "other classes", "strings"],
)
def test_held_out_data_that_do_not_fit_are_found_before_training(held_out, message):
    from skorch.helper import predefined_split

    net = MixupClassifier(train_split=predefined_split(held_out), **FAST)
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(X, CODES)
    assert not hasattr(net, "module_")


def test_a_module_in_double_precision_gets_doubles():
    net = MixupClassifier(nn.Linear(4, 3).double(), max_epochs=1)
    net.fit(TensorDataset(ROWS, LABELS), None)
    assert net.predict(TensorDataset(ROWS, LABELS)).shape == (N,)


# ---- codes that are looked up


class Bag(nn.Module):
    """Embeds codes of words."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(21, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        assert not x.is_floating_point()
        return self.head(self.table(x).mean(dim=1))


class Lookup(nn.Module):
    """The same by indexing."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(21, 3))

    def forward(self, x):
        return self.table[x].mean(dim=1)


@pytest.mark.parametrize("module", [Bag, Lookup])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8])
def test_codes_of_a_data_set_stay_integers_for_a_module_that_looks_them_up(
    module, dtype, tmp_path
):
    data = TensorDataset(ROWS.to(dtype), LABELS)
    net = MixupClassifier(module, alpha=0, max_epochs=1, random_state=0).fit(data, None)
    assert net.predict(data).shape == (N,)
    assert np.array_equal(net.predict(X.astype(int)), net.predict(data))
    net.save_params(f_params=tmp_path / "p.pt")


def test_a_loaded_net_still_looks_codes_up(tmp_path):
    data = TensorDataset(ROWS.long(), LABELS)
    net = MixupClassifier(Bag, alpha=0, max_epochs=1, random_state=0).fit(data, None)
    net.save_params(f_params=tmp_path / "p.pt")
    loaded = MixupClassifier(Bag, classes=[0, 1, 2]).initialize()
    loaded.load_params(f_params=tmp_path / "p.pt")
    assert np.array_equal(loaded.predict(data), net.predict(data))


class OneHot(nn.Linear):
    def forward(self, x):
        return super().forward(nn.functional.one_hot(x, 21).float().mean(dim=1))


@pytest.mark.parametrize("module", [Bag, Lookup, OneHot(21, 3)])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_codes_in_an_array_are_told_that_arrays_become_float32(module, kind):
    net = MixupClassifier(module, alpha=0, max_epochs=1)
    if module is Bag:
        Bag.forward, forward = lambda self, x: self.head(self.table(x).mean(dim=1)), Bag.forward
    try:
        with pytest.raises(TypeError, match=r"float32. Let .* call x.long\(\), or pass a Dataset"):
            net.fit(kind(X.astype(int)), CODES)
    finally:
        if module is Bag:
            Bag.forward = forward


# ---- collate functions


def mixing(batch):
    rows, labels = default_collate(batch)
    labels = labels if isinstance(labels, torch.Tensor) else labels[0]  # without the weights
    return rows, 0.9 * torch.eye(3)[labels] + 0.1 / 3


def in_threes(batch):
    rows, labels = default_collate(batch)
    return rows, labels, 0.5


@pytest.mark.parametrize("weight", [None, np.ones(N)])
@pytest.mark.parametrize("collate", [mixing, in_threes])
def test_labels_that_a_collate_function_mixed_are_refused(collate, weight):
    params = {"iterator_train__collate_fn": collate}
    message = "targets of shape|yields 3 values"
    with pytest.raises(ValueError, match=message):
        MixupClassifier(**FAST, **params).fit(X, CODES, sample_weight=weight)
    with pytest.raises(ValueError, match=message):
        fit(TensorDataset(ROWS, LABELS), **params)


def test_a_collate_function_may_make_rows_of_texts():
    words = ["ant", "bee", "cow"]

    def vectors(batch):
        texts, labels = zip(*batch, strict=True)
        rows = torch.tensor([[float("e" in text), float("o" in text)] for text in texts])
        return rows, torch.tensor(labels)

    data = Subset([(words[c], int(c)) for c in CODES], range(N))
    params = {"iterator_train__collate_fn": vectors, "iterator_valid__collate_fn": vectors}
    params |= {"module": nn.Linear(2, 3), "max_epochs": 300, "alpha": 0, "lr": 0.1}
    net = MixupClassifier(classes=[0, 1, 2], **params).fit(data, None)
    assert net.n_features_in_ == 2
    assert (net.predict(data) == CODES).all()


@pytest.mark.parametrize("learnt_from", ["arrays", "a data set", "slices"])
def test_rows_of_a_data_set_are_predicted_as_slices_too(learnt_from):
    data = TensorDataset(ROWS, LABELS)
    slices = SliceDataset(data), SliceDataset(data, idx=1)
    given = {"arrays": (X, CODES), "a data set": (data, None), "slices": slices}[learnt_from]
    net = fit(*given)
    expected = net.predict_proba(X)
    assert np.array_equal(net.predict_proba(slices[0]), expected)
    np.testing.assert_allclose(net.predict_proba(slices[0][np.arange(5)]), expected[:5], 1e-5)
    assert net.score(*slices) == net.score(X, CODES)


@pytest.mark.parametrize("targets", [1, 2, "labels"])
@pytest.mark.parametrize("params", [{}, {"train_split": 0.25}])
def test_numbers_and_several_labels_of_a_data_set_are_no_classes(targets, params):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    y = rng.normal(size=(40, 2)) if targets == 2 else rng.normal(size=40)
    if targets == "labels":
        y = (np.arange(40) >= 39)[:, None] & np.array([True, True, False])
        y[0, 0] = True
    kind = VicinalClassifier if targets == "labels" else VicinalRegressor
    module = nn.Linear(3, y[:1].size)
    net = kind(module, max_epochs=2, batch_size=64, random_state=0, **params)
    whole = clone(net).fit(X, y).predict(X)
    for data_set in (Listing(X, y.astype(np.float32)), skorch.dataset.Dataset(X, y)):
        found = clone(net).fit(data_set).predict(X)
        np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-4)


def test_targets_beside_a_data_set_are_those_that_it_yields():
    y = 1 + np.arange(len(ROWS)) / 32  # which float32 holds, so that the units are the same
    net = VicinalRegressor(nn.Linear(4, 1), max_epochs=1, random_state=0)
    data = TensorDataset(ROWS, torch.from_numpy(y).float())
    whole = clone(net).fit(data).predict(ROWS)
    np.testing.assert_allclose(clone(net).fit(data, y).predict(ROWS), whole, rtol=1e-6)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(net).fit(data, y[:-1])
    for others in (np.exp(y), y[::-1], np.column_stack([y, y])):
        with pytest.raises(ValueError, match="differs from the targets that the TensorDataset y"):
            clone(net).fit(data, others)
