"""The automatic space, the estimator's own setting in it, and names."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn
from torch.optim import SGD

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.ensemble import settings
from skmixup.ensemble.net import Net
from skmixup.ensemble.rows import IndicatorRows, LabeledRows, NumericRows
from skmixup.ensemble.settings import few_columns_matter, own_setting, space_of
from skmixup.networks import MLP

TABLE = {
    "alpha",
    "layers",
    "lr",
    "optimizer__weight_decay",
    "max_epochs",
    "module__dropout",
    "module__hidden_sizes",
    "module__embedding",
}


def space(estimator, n_dimensions=2, distributions="auto"):
    return space_of(distributions, Net(estimator), n_dimensions)


# The automatic space.


@pytest.mark.parametrize(
    ("estimator", "n_dimensions", "names"),
    [
        (ManifoldMixupClassifier(), 2, TABLE),
        (MixupClassifier(), 2, TABLE - {"layers"}),
        (VicinalClassifier(), 2, TABLE - {"layers", "alpha"}),
        (ManifoldMixupClassifier(layers=[1, 2]), 2, TABLE - {"layers"}),
        (ManifoldMixupClassifier(module__hidden_sizes=()), 2, TABLE - {"module__hidden_sizes"}),
        (
            ManifoldMixupClassifier(),
            4,
            {"alpha", "layers", "lr", "optimizer__weight_decay", "max_epochs"},
        ),
        (
            ManifoldMixupClassifier(nn.Linear, module__in_features=3, module__out_features=2),
            2,
            {"alpha", "layers", "lr", "optimizer__weight_decay", "max_epochs"},
        ),
    ],
)
def test_the_automatic_space_has_what_applies(estimator, n_dimensions, names):
    assert set(space(estimator, n_dimensions)) == names


def test_the_automatic_space_lies_around_the_own_values():
    net = ManifoldMixupClassifier(
        lr=0.02, max_epochs=20, optimizer__weight_decay=0.5, module__hidden_sizes=(64, 32)
    )
    found = space(net)
    assert found["lr"].ppf([0, 1]) == pytest.approx([0.02 / 6, 0.1])
    assert found["optimizer__weight_decay"].median() == pytest.approx(0.5)
    epochs = found["max_epochs"]
    assert (min(epochs), max(epochs)) == (7, 40)
    assert 20 in epochs
    assert found["module__hidden_sizes"] == [(64, 32), (64, 32, 32), (128, 64)]
    assert 0.0 in found["alpha"]
    assert found["module__embedding"] == [None, "periodic", "piecewise"]
    assert space(MixupRegressor())["module__embedding"] == [None, "periodic"]
    assert own_setting(Net(net), found) == {
        "alpha": 0.2,
        "layers": "auto",
        "lr": 0.02,
        "optimizer__weight_decay": 0.5,
        "max_epochs": 20,
        "module__dropout": 0.1,
        "module__hidden_sizes": (64, 32),
        "module__embedding": "auto",
    }


# Weights of columns.

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 20))
CODES = (X[:, 4] > 0).astype(np.int64)
FEW = LabeledRows(X, CODES, None, CODES, np.arange(2))


def test_weights_of_columns_are_tried_where_few_matter():
    assert few_columns_matter(Net(ManifoldMixupClassifier()), FEW)
    all_matter = (X.sum(axis=1) > 0).astype(np.int64)
    rows = LabeledRows(X, all_matter, None, all_matter, np.arange(2))
    assert not few_columns_matter(Net(ManifoldMixupClassifier()), rows)
    indicators = np.column_stack([CODES, 1 - CODES])
    labels = IndicatorRows(X, indicators, None, np.arange(2), None)
    assert few_columns_matter(Net(ManifoldMixupClassifier()), labels)
    noise = np.concatenate([FEW.X, X]), np.concatenate([CODES, RNG.permutation(CODES)])
    weight = np.repeat([1.0, 0.0], 300)
    assert few_columns_matter(
        Net(VicinalClassifier()), LabeledRows(*noise, weight, noise[1], np.arange(2))
    )


@pytest.mark.parametrize(
    "kind", [pd.DataFrame, np.ndarray.tolist, csr_matrix], ids=["frame", "lists", "sparse"]
)
def test_tables_of_any_kind_are_looked_at(kind):
    rows = LabeledRows(kind(X), CODES, None, CODES, np.arange(2))
    assert few_columns_matter(Net(VicinalClassifier()), rows) is (kind is not csr_matrix)


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), ManifoldMixupClassifier()),
        ManifoldMixupClassifier(nn.Linear, module__in_features=20, module__out_features=2),
        LogisticRegression(),
    ],
    ids=["pipeline", "module", "other"],
)
def test_weights_are_of_the_columns_of_the_default_network(estimator):
    assert not few_columns_matter(Net(estimator), FEW)


def test_weights_are_tried_for_numbers_too():
    net = Net(MixupRegressor())
    assert few_columns_matter(net, NumericRows(X, 1e6 + X[:, 4], None))
    assert not few_columns_matter(net, NumericRows(X, X.sum(axis=1), None))
    # the units of several targets do not say which of them counts
    units = X[:, 4:18] * np.r_[1e9, np.ones(13)]
    assert not few_columns_matter(net, NumericRows(X, units, None))
    noise = np.concatenate([X, X]), np.concatenate([X[:, 4], 1e3 * RNG.normal(size=300)])
    weight = np.repeat([1.0, 0.0], 300)
    assert few_columns_matter(net, NumericRows(*noise, weight))


@pytest.mark.parametrize(
    "table",
    [X[:299], np.full(X.shape, "a"), np.where(X > 2, np.nan, X), X[:, :, None]],
    ids=["few rows", "text", "gaps", "three axes"],
)
def test_other_tables_have_no_weights(table):
    codes = CODES[: len(table)]
    rows = LabeledRows(table, codes, None, codes, np.arange(2))
    assert not few_columns_matter(Net(ManifoldMixupClassifier()), rows)


def test_images_are_not_copied_for_that_question(monkeypatch):
    taken = []
    rows_at = settings.rows_at
    monkeypatch.setattr(settings, "rows_at", lambda X, i: taken.append(len(i)) or rows_at(X, i))
    images = LabeledRows(X[:, :, None, None], CODES, None, CODES, np.arange(2))
    assert not few_columns_matter(Net(VicinalClassifier()), images)
    assert sum(taken) <= 1


@pytest.mark.parametrize("few", [True, False])
def test_the_classifier_asks_for_weights_where_few_matter(few):
    y = np.where(CODES if few else X.sum(axis=1) > 0, "yes", "no")
    small = VicinalClassifier(max_epochs=1, module__hidden_sizes=(4,))
    cv = MixupClassifierCV(small, n_runs=9, cv=2, random_state=0).fit(X, y)
    name = "module__column_weights"
    assert (name in cv.param_distributions_) is few
    assert set(cv.cv_results_.get(f"param_{name}", [])) == ({None, "importance"} if few else set())


@pytest.mark.parametrize(("n_runs", "asks"), [(7, False), (8, True), ("auto", True)])
def test_runs_that_suffice_for_other_tables_suffice_where_few_columns_matter(n_runs, asks):
    small = VicinalClassifier(max_epochs=1, module__hidden_sizes=(4,))
    cv = MixupClassifierCV(small, n_runs=n_runs, random_state=0)
    space, _ = cv._proposals(Net(small), FEW, np.random.RandomState(0))
    assert len(space) == 6 + asks
    assert ("module__column_weights" in space) is asks


@pytest.mark.parametrize(("n_rows", "least"), [(100, 16), (2000, 16), (8000, 4), (10**7, 1)])
def test_the_fewest_epochs_have_no_more_steps_for_many_rows(n_rows, least):
    estimator = ManifoldMixupClassifier(max_epochs=48)
    epochs = space_of("auto", Net(estimator), 2, n_rows)["max_epochs"]
    assert (min(epochs), max(epochs)) == (least, 96)
    assert 48 in epochs


def test_epochs_that_the_estimator_would_find_itself():
    net = Net(ManifoldMixupClassifier(max_epochs="auto"))
    found = space_of("auto", net, 2)
    assert 32 in found["max_epochs"]
    assert own_setting(net, found)["max_epochs"] == 32
    pipeline = Net(make_pipeline(StandardScaler(), net.estimator))
    name = "manifoldmixupclassifier__max_epochs"
    assert own_setting(pipeline, space_of("auto", pipeline, 2))[name] == 32


@pytest.mark.parametrize("own", [0, 1, 2, 1000])
def test_numbers_of_epochs_are_positive_and_include_the_own_one(own):
    epochs = space(ManifoldMixupClassifier(max_epochs=own))["max_epochs"]
    assert min(epochs) > 0
    assert epochs == sorted(set(epochs))
    assert own in [*epochs, 0]


def test_an_optimizer_whose_weight_decay_is_off():
    decays = space(ManifoldMixupClassifier(optimizer=SGD))["optimizer__weight_decay"]
    assert 0 < decays.ppf(0) < 1e-3


def test_names_of_a_pipeline_begin_with_its_step():
    inner = make_pipeline(StandardScaler(), ManifoldMixupClassifier())
    pipeline = make_pipeline(StandardScaler(), inner)
    prefix = "pipeline__manifoldmixupclassifier__"
    factors = space(pipeline)
    assert set(factors) == {prefix + name for name in TABLE}
    own = own_setting(Net(pipeline), factors)
    assert own[prefix + "lr"] == 0.003
    assert own[prefix + "module__dropout"] == 0.1
    pipeline.set_params(**own)  # every name is a parameter


def test_estimators_without_an_automatic_space():
    with pytest.raises(ValueError, match=r"for LogisticRegression give a dict"):
        space(LogisticRegression())
    with pytest.raises(TypeError, match="InterpolationConsistencyClassifier"):
        space(InterpolationConsistencyClassifier())


# Names.


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (ManifoldMixupClassifier(), "alhpa"),
        (ManifoldMixupClassifier(), "module__widht"),
        (ManifoldMixupClassifier(), "optimizer__momentum"),
        (ManifoldMixupClassifier(MLP), "module__depths"),
        (ManifoldMixupClassifier(), "criterion__smoothing"),
        (make_pipeline(StandardScaler(), ManifoldMixupClassifier()), "alpha"),
        (make_pipeline(ManifoldMixupClassifier()), "manifoldmixupclassifier__module__widht"),
        (LogisticRegression(), "c"),
    ],
)
def test_a_name_that_does_not_exist(estimator, name):
    with pytest.raises(ValueError, match=rf"names \['{name}'\], which \w+ does not have.*: its"):
        space(estimator, distributions={name: [1, 2]})


@pytest.mark.parametrize(
    "name",
    [
        "alpha",
        "module__dropout",
        "module__width",  # of the default network for images
        "optimizer__weight_decay",
        "criterion__label_smoothing",
        "iterator_train__num_workers",
        "callbacks__print_log",
    ],
)
def test_names_that_exist(name):
    assert set(space(ManifoldMixupClassifier(), distributions={name: [1, 2]})) == {name}


def test_a_module_whose_constructor_takes_anything():
    class Any(nn.Module):
        def __init__(self, **kwargs):
            super().__init__()

    net = ManifoldMixupClassifier(Any)
    assert set(space(net, distributions={"module__x": [1]})) == {"module__x"}
    assert own_setting(Net(net), ["module__x"]) == {}


def test_estimators_that_list_only_what_was_set():
    net = NeuralNetClassifier(nn.Linear, module__in_features=2)
    inside = make_pipeline(StandardScaler(), net)
    assert Net(net).takes("module__out_features")
    assert Net(inside).takes("neuralnetclassifier__optimizer__momentum")
    assert not Net(net).takes("momentum")
    assert own_setting(Net(net), ["lr", "module__out_features"]) == {"lr": 0.01}
