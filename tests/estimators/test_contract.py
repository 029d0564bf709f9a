"""Facts about the scikit-learn contract that its own checks leave out."""

import inspect
import io
import pickle
import weakref

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    VicinalClassifier,
)
from skmixup.networks import MLP, PreActResNet
from skmixup.vicinal import Gaussian

RNG = np.random.default_rng(0)
CODES = np.repeat([0, 1, 2], 20)
X = (RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]).astype(np.float32)
FAST = {"module__hidden_sizes": (8,), "max_epochs": 15, "lr": 0.02, "random_state": 0}


def estimators(**params):
    return [
        cls(**(FAST | params))
        for cls in (VicinalClassifier, MixupClassifier, ManifoldMixupClassifier)
    ]


LABELS = {
    "strings": np.array(["cow", "ant", "bee"]),
    "objects": np.array(["cow", "ant", "bee"], dtype=object),
    "negative": np.array([-5, -1, -3]),
    "gapped": np.array([10, 3, 700]),
    "floats": np.array([1.0, 0.0, 5.0]),
    "bytes": np.array([7, 3, 5], dtype=np.uint8),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("net", estimators(), ids=lambda net: type(net).__name__)
def test_labels_of_any_kind_come_back_as_they_were(net, kind):
    y = LABELS[kind][CODES]
    net = clone(net).fit(X, y)
    assert np.array_equal(net.classes_, np.unique(y))
    predicted = net.predict(X)
    assert predicted.dtype == net.classes_.dtype
    assert net.score(X, y) > 0.9
    assert np.array_equal(net.classes_[net.predict_proba(X).argmax(axis=1)], predicted)


def test_how_labels_are_called_does_not_matter_to_training():
    ordered = {name: np.sort(values)[CODES] for name, values in LABELS.items()}
    first, *others = (MixupClassifier(**FAST).fit(X, y).predict_proba(X) for y in ordered.values())
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("y", [CODES == 1, pd.Series(CODES == 1), (CODES == 1).tolist()])
def test_boolean_labels(y):
    net = MixupClassifier(**FAST).fit(X, y)
    assert net.classes_.tolist() == [False, True]
    assert net.predict(X).dtype == bool
    assert net.score(X, y) > 0.8


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(LABELS["strings"][CODES]),
        pd.Series(LABELS["strings"][CODES], dtype="category"),
        LABELS["strings"][CODES].tolist(),
        torch.from_numpy(CODES),
    ],
    ids=["series", "categorical", "list", "tensor"],
)
def test_containers_of_labels(y):
    net = MixupClassifier(**FAST).fit(X, y)
    assert (net.predict(X) == np.asarray(y)).mean() > 0.9


def test_a_column_of_labels_is_taken_with_scikit_learns_warning():
    with pytest.warns(DataConversionWarning):
        net = MixupClassifier(**FAST).fit(X, CODES[:, None])
    assert net.predict(X).shape == (60,)


def test_one_column():
    net = MixupClassifier(**FAST).fit(X[:, :1], CODES == 0)
    assert net.n_features_in_ == 1
    assert net.score(X[:, :1], CODES == 0) > 0.8


def test_tables_get_an_mlp_and_images_a_resnet():
    table = MixupClassifier(**FAST).fit(X, CODES)
    images = RNG.normal(size=(20, 2, 5, 6))
    image = ManifoldMixupClassifier(module__width=4, max_epochs=1).fit(images, CODES[::3])
    assert isinstance(table.module_, MLP)
    assert isinstance(image.module_, PreActResNet)
    assert image.input_shape_ == (2, 5, 6)
    assert image.predict_proba(images).shape == (20, 3)


def test_fitted_attributes():
    net = MixupClassifier(**FAST).fit(X, CODES)
    assert (net.n_iter_, len(net.loss_curve_), len(net.history_)) == (15, 15, 15)
    assert net.loss_curve_ == net.history_[:, "train_loss"]
    assert net.n_features_in_ == 4
    for name in ["classes_", "n_iter_", "loss_curve_"]:
        assert not hasattr(MixupClassifier(), name), name
    for method in ["predict", "predict_proba", "predict_log_proba", "decision_function"]:
        with pytest.raises(NotFittedError):
            getattr(MixupClassifier(), method)(X)


def test_probabilities_are_the_softmax_of_the_logits():
    net = MixupClassifier(**FAST).fit(X, CODES)
    logits = net.decision_function(X)
    assert logits.shape == (60, 3)
    expected = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    assert np.allclose(net.predict_proba(X), expected, atol=1e-7)
    assert np.allclose(net.predict_log_proba(X), np.log(expected), atol=1e-5)
    binary = MixupClassifier(**FAST).fit(X, CODES == 1)
    difference = binary.decision_function(X)
    assert difference.shape == (60,)
    assert np.allclose(binary.predict_proba(X)[:, 1], 1 / (1 + np.exp(-difference)), atol=1e-6)


def test_feature_names_are_kept_and_compared():
    frame = pd.DataFrame(X, columns=list("abcd"))
    net = MixupClassifier(**FAST).fit(frame, CODES)
    assert net.feature_names_in_.tolist() == list("abcd")
    assert np.array_equal(
        net.predict_proba(frame), MixupClassifier(**FAST).fit(X, CODES).predict_proba(X)
    )
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[list("dcba")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        net.predict(X)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64]
)
def test_torch_tensors(dtype):
    tensor = torch.from_numpy(X).to(dtype)
    array = tensor.float().numpy()
    net = MixupClassifier(**FAST).fit(tensor, torch.from_numpy(CODES))
    expected = MixupClassifier(**FAST).fit(array, CODES).predict_proba(array)
    assert np.array_equal(net.predict_proba(tensor), expected)


def test_tensors_that_require_a_gradient_are_left_alone():
    tensor = torch.from_numpy(X).requires_grad_()
    MixupClassifier(**FAST).fit(tensor, CODES).predict(tensor)
    assert tensor.grad is None


def test_the_users_array_is_not_written_to():
    data = X.copy()
    VicinalClassifier(
        torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(4, 3)), max_epochs=2
    ).fit(data, CODES).predict(data)
    assert np.array_equal(data, X)


def test_read_only_fortran_and_strided_arrays():
    expected = MixupClassifier(**FAST).fit(X, CODES).predict_proba(X)
    read_only = X.copy()
    read_only.flags.writeable = False
    wide = np.repeat(X, 2, axis=1)
    for same in [read_only, np.asfortranarray(X), wide[:, ::2], X[::-1].copy()[::-1]]:
        assert np.array_equal(
            MixupClassifier(**FAST).fit(same, CODES).predict_proba(same), expected
        )


# ---- clone, pickle, parallel work


@pytest.mark.parametrize("net", estimators(), ids=lambda net: type(net).__name__)
def test_clones_have_the_parameters_and_nothing_else(net):
    fitted = clone(net).fit(X, CODES)
    copy = clone(fitted)
    assert copy.get_params().keys() == net.get_params().keys()
    assert not hasattr(copy, "module_")
    assert np.array_equal(copy.fit(X, CODES).predict_proba(X), fitted.predict_proba(X))
    assert is_classifier(net)


def test_a_module_instance_stays_untrained():
    module = torch.nn.Linear(4, 3)
    before = module.weight.detach().clone()
    net = MixupClassifier(module, max_epochs=2, random_state=0).fit(X, CODES)
    assert torch.equal(module.weight, before)
    assert not torch.equal(net.module_.weight, before)
    assert net.module is module


@pytest.mark.parametrize("net", estimators(), ids=lambda net: type(net).__name__)
def test_pickles_predict_and_train_alike(net):
    net = clone(net).fit(X, CODES)
    copy = pickle.loads(pickle.dumps(net))
    assert np.array_equal(copy.predict_proba(X), net.predict_proba(X))
    assert copy.n_iter_ == net.n_iter_
    assert np.array_equal(
        copy.partial_fit(X, CODES).predict_proba(X), net.partial_fit(X, CODES).predict_proba(X)
    )
    assert pickle.loads(pickle.dumps(clone(net))).get_params().keys() == net.get_params().keys()


def test_joblib_files():
    net, file = MixupClassifier(**FAST).fit(X, CODES), io.BytesIO()
    joblib.dump(net, file)
    assert np.array_equal(joblib.load(file).predict(X), net.predict(X))


def test_two_processes_give_what_one_gives():
    net = ManifoldMixupClassifier(**FAST | {"max_epochs": 30})
    alone = cross_val_score(net, X, CODES, cv=2)
    with joblib.parallel_config(backend="loky", max_nbytes=100):  # X arrives as a memory map
        together = cross_val_score(net, X, CODES, cv=2, n_jobs=2)
    assert np.array_equal(alone, together)
    assert alone.min() > 0.8


# ---- searches and compositions


@pytest.mark.parametrize(
    ("net", "grid"),
    [
        (MixupClassifier(**FAST), {"alpha": [0, 0.4, (1, 2)]}),
        (ManifoldMixupClassifier(**FAST), {"layers": ["auto", 0, [1], [0, "blocks.0"]]}),
        (MixupClassifier(**FAST), {"module__hidden_sizes": [(4,), (8, 8)]}),
        (MixupClassifier(**FAST), {"lr": [1e-9, 0.02]}),
        (VicinalClassifier(vicinity=Gaussian(), **FAST), {"vicinity__sigma": [0.0, 0.1]}),
        (MixupClassifier(**FAST), {"optimizer__weight_decay": [0, 0.1], "mix_per": ["sample"]}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_grid_search(net, grid):
    search = GridSearchCV(net, grid, cv=2, error_score="raise").fit(X, CODES)
    assert search.best_score_ > 0.8
    (first, *_) = grid
    for params in search.cv_results_["params"]:
        assert params[first] in grid[first]
    assert (
        getattr(search.best_estimator_, first, None) == search.best_params_[first] or "__" in first
    )


def test_a_search_uses_the_values_it_tries():
    search = GridSearchCV(MixupClassifier(**FAST), {"lr": [1e-9, 0.02]}, cv=2).fit(X, CODES)
    untrained, trained = search.cv_results_["mean_test_score"]
    assert trained > untrained + 0.2
    search = GridSearchCV(
        MixupClassifier(**FAST), {"module__hidden_sizes": [(4,), (8, 8)]}, cv=2
    ).fit(X, CODES)
    sizes = search.best_params_["module__hidden_sizes"]
    assert len(search.best_estimator_.module_.blocks) == len(sizes)


def test_searching_a_nested_parameter_leaves_the_users_vicinity_alone():
    vicinity = Gaussian(0.3)
    net = VicinalClassifier(vicinity=vicinity, **FAST)
    search = GridSearchCV(net, {"vicinity__sigma": [0.0, 0.1]}, cv=2).fit(X, CODES)
    assert vicinity.sigma == 0.3
    assert search.best_estimator_.vicinity.sigma in (0.0, 0.1)
    assert net.get_params()["vicinity__sigma"] == 0.3


def test_parameters_of_a_pipeline_are_reached():
    pipe = make_pipeline(StandardScaler(), ManifoldMixupClassifier(**FAST))
    pipe.set_params(manifoldmixupclassifier__alpha=2.0, manifoldmixupclassifier__layers=[1])
    assert pipe[-1].alpha == 2.0
    assert pipe.fit(X, CODES).score(X, CODES) > 0.9


def test_sample_weight_is_routed_through_a_search_over_a_pipeline():
    weight = np.where(CODES == 2, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        net = VicinalClassifier(**FAST).set_fit_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), net)
        search = GridSearchCV(
            pipe,
            {"vicinalclassifier__lr": [0.02]},
            cv=2,
            scoring=get_scorer("accuracy").set_score_request(sample_weight=False),
        )
        unweighted = clone(search).fit(X, CODES)
        assert 2 in unweighted.predict(X)
        search.fit(X, CODES, sample_weight=weight)
        assert 2 not in search.predict(X)  # the class whose rows weigh nothing


def test_calibrated_and_voting_classifiers():
    net = MixupClassifier(**FAST)
    y = LABELS["strings"][CODES]
    calibrated = CalibratedClassifierCV(net, cv=2).fit(X, y, sample_weight=np.ones(60))
    assert calibrated.score(X, y) > 0.9
    voting = VotingClassifier([("net", net), ("linear", LogisticRegression())], voting="soft")
    assert voting.fit(X, y).score(X, y) > 0.9


def test_cross_validated_probabilities():
    probabilities = cross_val_predict(
        MixupClassifier(**FAST | {"max_epochs": 30}), X, CODES, cv=2, method="predict_proba"
    )
    assert (probabilities.argmax(axis=1) == CODES).mean() > 0.9


def test_pandas_output_of_a_pipeline():
    with sklearn.config_context(transform_output="pandas"):
        pipe = make_pipeline(StandardScaler(), MixupClassifier(**FAST))
        pipe.fit(pd.DataFrame(X, columns=list("abcd")), CODES)
        assert pipe[-1].feature_names_in_.tolist() == list("abcd")
        assert pipe.score(pd.DataFrame(X, columns=list("abcd")), CODES) > 0.9


@pytest.mark.parametrize("net", estimators(), ids=lambda net: type(net).__name__)
def test_html_and_text_representation(net):
    for estimator in (net, clone(net).fit(X, CODES)):
        assert type(net).__name__ in estimator._repr_html_()
        assert type(net).__name__ in repr(estimator)


# ---- partial_fit


def test_partial_fit_knows_all_classes_from_the_first_call():
    net = MixupClassifier(**FAST)
    some = CODES < 2
    net.partial_fit(X[some], CODES[some], classes=[2, 1, 0])
    assert net.classes_.tolist() == [0, 1, 2]
    assert net.predict_proba(X).shape == (60, 3)
    net.partial_fit(X, CODES)
    assert net.n_iter_ == 30
    assert net.score(X, CODES) > 0.9


def test_classes_as_a_parameter():
    some = CODES < 2
    net = MixupClassifier(classes=[0, 1, 2], **FAST).fit(X[some], CODES[some])
    assert net.predict_proba(X).shape == (60, 3)


def test_partial_fit_refuses_other_classes_and_other_columns():
    net = MixupClassifier(**FAST).partial_fit(X, CODES)
    with pytest.raises(ValueError, match=r"classes \[0, 1\] differ from .* \[0, 1, 2\]"):
        net.partial_fit(X, CODES, classes=[0, 1])
    with pytest.raises(ValueError, match=r"not among the classes \[0, 1, 2\]: \[9\]"):
        net.partial_fit(X, np.where(CODES == 1, 9, CODES))
    with pytest.raises(ValueError, match="3 features"):
        net.partial_fit(X[:, :3], CODES)
    assert net.n_iter_ == 15


def test_prediction_keeps_no_output_of_a_batch():
    kept = []

    class Watched(nn.Linear):
        def forward(self, x):
            alive.append(sum(ref() is not None for ref in kept))
            output = super().forward(x)
            kept.append(weakref.ref(output))
            return output

    alive = []
    X = np.random.default_rng(0).normal(size=(500, 4))
    net = MixupClassifier(Watched(4, 2), max_epochs=0, iterator_valid__batch_size=100)
    net.fit(X, np.arange(500) % 2)
    alive.clear()
    logits = net.decision_function(X)
    assert len(alive) == 5
    assert max(alive) <= 1
    with torch.no_grad():
        expected = net.module_(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(logits, expected[:, 1] - expected[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    "estimator",
    [MixupClassifier, ManifoldMixupClassifier, InterpolationConsistencyClassifier],
)
def test_the_signature_names_every_parameter_and_a_repr_only_what_was_changed(estimator):
    parameters = inspect.signature(estimator).parameters
    own = estimator().get_params(deep=False)
    assert set(own) == set(parameters) - {"kwargs"}
    for name, value in own.items():
        assert value is parameters[name].default or value == parameters[name].default
    shown = repr(make_pipeline(estimator(lr=0.5, module__dropout=0.2)))
    assert f"{estimator.__name__}(lr=0.5, module__dropout=0.2)" in shown
