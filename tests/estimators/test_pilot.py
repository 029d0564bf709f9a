"""Facts about max_epochs="auto": rows held out say how long to train, and how bold to be."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.model_selection import cross_val_score
from skorch.callbacks import EpochTimer
from torch import nn

from skmixup import (
    InterpolationConsistencyClassifier,
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    MixupRegressor,
    VicinalClassifier,
)
from skmixup.estimators import pilot
from skmixup.estimators.pilot import TrainingRows, find_length, rows_held_out
from skmixup.training import tensor_net
from skmixup.training.batches import ArrayDataset
from skmixup.training.divergence import DivergenceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype(np.float32)
CODES = (X[:, 0] > 0) + (X[:, 1] > 0.5).astype(np.int64)
Y = np.array(["ant", "bee", "cow"])[CODES]
NOISE = RNG.permutation(Y)
SMALL = {
    "module__hidden_sizes": (32,), "module__n_members": 1, "module__embedding": None,
    "batch_size": 40, "lr": 0.02, "random_state": 0,
}  # fmt: skip


def estimator(kind=MixupClassifier, **params):
    return kind(**SMALL, **params)


def equal_weights(one, other):
    left, right = one.module_.state_dict(), other.module_.state_dict()
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]


@pytest.mark.parametrize("kind", [VicinalClassifier, MixupClassifier, ManifoldMixupClassifier])
def test_all_rows_are_trained_on_for_the_epochs_found(kind, quick):
    auto = estimator(kind).fit(X, Y)
    stated = estimator(kind, max_epochs=auto.n_epochs_).fit(X, Y)
    assert auto.max_epochs == "auto"
    assert auto.n_iter_ == len(auto.loss_curve_) == auto.n_epochs_ in (1, 2, 3)
    assert auto.temperature_ != 1.0 == stated.temperature_
    assert equal_weights(auto, stated) == ["temperature"]
    assert equal_weights(auto, estimator(kind).fit(X, Y)) == []


def test_noise_is_trained_on_for_a_short_time_and_told_modestly():
    clear, noise = estimator().fit(X, Y), estimator().fit(X, NOISE)
    assert noise.n_epochs_ < clear.n_epochs_
    assert clear.temperature_ < 1 < noise.temperature_


def test_a_network_made_modest_by_mixing_becomes_bolder():
    modest = estimator(alpha=16.0).fit(X, Y)
    assert modest.temperature_ < 0.9
    logits = np.log(modest.predict_proba(X)) * modest.temperature_
    plain = estimator(alpha=16.0, max_epochs=modest.n_epochs_).fit(X, Y)
    np.testing.assert_allclose(softmax(logits, axis=1), plain.predict_proba(X), atol=1e-5)


def test_labels_that_are_certain_are_labels(quick):
    soft = estimator(classes=["ant", "bee", "cow"]).fit(X, np.eye(3)[CODES])
    hard = estimator().fit(X, Y)
    assert soft.n_epochs_ == hard.n_epochs_
    assert soft.temperature_ == pytest.approx(hard.temperature_, rel=1e-3)


def test_rows_without_weight_have_no_say():
    weight = np.repeat([1.0, 0.0], 200)
    both, labels = np.concatenate([X, X]), np.concatenate([Y, NOISE])
    clear = estimator().fit(both, labels, sample_weight=weight)
    noise = estimator().fit(both, labels, sample_weight=1 - weight)
    assert clear.temperature_ < 1 < noise.temperature_


def test_what_a_row_counts_includes_the_weight_of_its_class(found):
    weights = {"ant": 1.0, "bee": 3.0, "cow": 1.0}
    estimator(class_weight=weights).fit(X, Y, sample_weight=2.0)
    (rows,) = found
    np.testing.assert_array_equal(rows.sample_weight, np.full(len(Y), 2.0))
    assert rows.weights[CODES == 1][0] == pytest.approx(3 * rows.weights[CODES == 0][0])


# ---- which rows are held out


@pytest.mark.parametrize(
    ("n", "share"), [(100, 1 / 3), (600, 1 / 3), (800, 1 / 4), (1000, 1 / 5), (7001, 1 / 5)]
)
def test_a_part_of_every_class_is_held_out(n, share):
    codes = RNG.integers(3, size=n)
    held_out = rows_held_out(codes, None, RNG)
    assert len(np.unique(held_out)) == len(held_out) == pytest.approx(share * n, abs=1)
    for code in range(3):
        of_class = codes == code
        assert of_class[held_out].sum() == pytest.approx(share * of_class.sum(), abs=1)


def test_a_fifth_of_a_thousand_rows_are_those_of_earlier_versions():
    codes = RNG.integers(3, size=1503)
    order = np.random.default_rng(0).permutation(1503)
    fifth = order[np.argsort(codes[order], kind="stable")][::5]
    held_out = rows_held_out(codes, None, np.random.default_rng(0))
    np.testing.assert_array_equal(held_out, np.sort(fifth))


@pytest.mark.parametrize("n", [100, 101, 350, 601, 777, 999, 1000, 50_001])
def test_of_every_class_rows_are_trained_on(n):
    codes = np.concatenate([[0], np.arange(2, n + 1) // 2])  # one row, then two of each
    held_out = rows_held_out(codes, None, RNG)
    left = np.delete(codes, held_out)
    assert len(np.unique(left)) == len(np.unique(codes))
    assert len(held_out) > 0


def test_a_pilot_does_not_warn_of_classes_with_few_rows(quick):
    """Its rows may be so few that scikit-learn would, and so would each tree that it grows."""
    classes = np.arange(380) % 160
    rows = np.random.default_rng(0).normal(size=(380, 4)).astype(np.float32)
    assert estimator().fit(rows, classes).n_epochs_ in (1, 2, 3)


@pytest.mark.parametrize(("n", "n_held_out"), [(200, 8), (1000, 5)])
def test_groups_are_held_out_whole(n, n_held_out):
    groups = np.arange(n) % 23
    held_out = rows_held_out(RNG.integers(3, size=n), groups, RNG)
    found = np.unique(groups[held_out])
    assert len(found) == n_held_out
    np.testing.assert_array_equal(held_out, np.flatnonzero(np.isin(groups, found)))


def test_a_class_that_is_held_out_whole_is_not_scored(quick):
    groups = np.where(CODES == 2, 99, np.arange(200) % 23)
    assert 0.2 < estimator().fit(X, Y, groups=groups).temperature_ < 5


def test_of_many_rows_some_thousand_are_held_out(monkeypatch):
    monkeypatch.setattr(pilot, "MOST_HELD_OUT", 10)
    held_out = rows_held_out(CODES, None, RNG)
    assert len(held_out) == 10
    assert len(np.unique(CODES[held_out])) == 3


def test_many_rows_are_trained_on_for_fewer_epochs(monkeypatch):
    monkeypatch.setattr(pilot, "MOST_STEPS", 4 * 5)  # of 40 rows
    assert estimator().fit(X, Y).n_epochs_ <= 4


def test_too_few_rows_say_nothing(monkeypatch):
    monkeypatch.setattr(tensor_net, "USUAL_EPOCHS", 2)
    few = estimator().fit(X[:99], Y[:99])
    assert (few.n_epochs_, few.n_iter_, few.temperature_) == (2, 2, 1.0)


def test_a_pilot_needs_two_classes():
    codes = np.zeros(200, dtype=np.int64)
    codes[0] = 1
    weight = (np.arange(200) < 1).astype(np.float64)
    net = estimator(classes=[0, 1])
    net.classes_inferred_ = np.array([0, 1])
    assert find_length(net, TrainingRows(X, codes, weight, codes, weight)) is None


# ---- where nobody asked for it


def module():
    return nn.Linear(4, 3)


class Own(MixupClassifier):
    """A class of the user's."""


HAS_A_SAY = {
    "callbacks": lambda: estimator(callbacks=[EpochTimer()]),
    "rows held out": lambda: estimator(train_split=0.2),
    "warm start": lambda: estimator(warm_start=True),
    "a module": lambda: MixupClassifier(module),
    "a loss": lambda: estimator(criterion__label_smoothing=0.1),
    "order": lambda: estimator(iterator_train__shuffle=False),
    "a class": lambda: Own(**SMALL),
    "partly labelled": lambda: InterpolationConsistencyClassifier(max_epochs="auto", **SMALL),
}


@pytest.mark.parametrize("say", HAS_A_SAY)
def test_who_has_a_say_in_the_training_gets_the_usual_epochs(say, found):
    net = HAS_A_SAY[say]().fit(X, Y)
    assert not found
    assert (net.n_epochs_, net.n_iter_, net.temperature_) == (2, 2, 1.0)


def test_other_data_get_the_usual_epochs(found):
    images = RNG.normal(size=(8, 1, 4, 4)).astype(np.float32)
    several = np.eye(3, dtype=np.int64)[CODES] | np.eye(3, dtype=np.int64)[CODES[::-1]]
    for net in (
        MixupClassifier(module__width=4, module__depths=(1,)).fit(images, np.arange(8) % 2),
        estimator().fit(X, several),
        estimator().fit(ArrayDataset(X, CODES)),
        estimator().partial_fit(X, Y),
    ):
        assert (net.n_iter_, net.temperature_) == (2, 1.0)
    assert estimator().fit(X, Y, epochs=1).n_iter_ == 1
    assert not found


def test_callbacks_compute_with_a_number():
    seen = []

    class Reads(EpochTimer):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.max_epochs)

    net = estimator(callbacks=[Reads()], mix_epochs=0.5).fit(X[:20], Y[:20])
    assert set(seen) == {32}
    assert net.max_epochs == "auto"


def test_groups_that_nothing_holds_out_are_errors(found):
    groups = np.arange(200)
    estimator().fit(X, Y, groups=groups)
    np.testing.assert_array_equal(found[0].groups, groups)
    for net, args in (
        (estimator(max_epochs=2), (X, Y)),
        (estimator(), (ArrayDataset(X, CODES),)),
        (MixupClassifier(), (np.zeros((200, 1, 4, 4), dtype=np.float32), Y)),
    ):
        with pytest.raises(ValueError, match="train_split"):
            net.fit(*args, groups=groups)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator().fit(X, Y, groups=groups[:-1])


@pytest.mark.parametrize("value", ["automatic", -1, 1.5, None])
def test_other_values_are_errors(value):
    with pytest.raises(ValueError, match=r"max_epochs.*'auto'"):
        estimator(max_epochs=value).fit(X, Y)


# ---- what is cut off, saved and gone on with


def test_ctrl_c_in_a_pilot_leaves_the_estimator_as_it_was(monkeypatch):
    def interrupted(watch, net, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(pilot.Watch, "on_epoch_end", interrupted)
    net = estimator()
    before = dict(vars(net))
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)
    assert vars(net) == before


def test_a_fit_that_was_cut_off_goes_on_to_the_epochs_found(found):
    whole, cut = estimator().fit(X, Y), estimator(callbacks=None)
    fit_loop, seen = VicinalClassifier.run_single_epoch, []

    def stopping(net, *args, **kwargs):
        seen.append(net)
        if len(seen) == 3:  # an epoch is a call for training and one for validation
            raise KeyboardInterrupt
        return fit_loop(net, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VicinalClassifier, "run_single_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            cut.fit(X, Y)
    assert (cut.n_iter_, cut.n_epochs_, cut.temperature_) == (1, 3, 0.5)
    cut.partial_fit(X, Y, epochs=cut.n_epochs_ - cut.n_iter_)
    assert equal_weights(cut, whole) == []


def test_files_have_the_temperature(found, tmp_path):
    net = estimator().fit(X, Y)
    net.save_params(tmp_path / "net.pt")
    other = estimator()
    other.load_params(tmp_path / "net.pt")
    assert other.temperature_ == 0.5
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))


def test_an_interrupt_of_a_pilot_leaves_everything_as_it_was_and_says_so(quick, monkeypatch):
    unfitted, clf = estimator(), estimator().fit(X, Y)
    state, expected = dict(unfitted.__dict__), clf.predict_proba(X)
    watched = []

    def interrupted(self, net, **kwargs):
        watched.append(net)
        raise KeyboardInterrupt

    monkeypatch.setattr(pilot.Watch, "on_epoch_end", interrupted)
    for which in (unfitted, clf):
        with pytest.raises(KeyboardInterrupt) as caught:
            which.fit(X[:, ::-1], Y)
        assert "MixupClassifier with max_epochs='auto': a pilot was" in caught.value.__notes__[0]
    assert unfitted.__dict__ == state
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(estimator(), X, Y, cv=2)
    assert len(watched) == 3


def test_an_interrupt_of_a_pilot_in_a_race_leaves_the_complete_settings(quick, monkeypatch):
    watched, real = [], pilot.Watch.on_epoch_end

    def interrupted(self, net, **kwargs):
        watched.append(net)
        if len(watched) == 28:  # the last fit of ten; each has one pilot of three epochs
            raise KeyboardInterrupt
        real(self, net, **kwargs)

    monkeypatch.setattr(pilot.Watch, "on_epoch_end", interrupted)
    space = {"alpha": [0.0, 1.0, 2.0, 3.0]}
    clf = MixupClassifierCV(estimator(), param_distributions=space, n_runs=4, cv=4)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert clf.n_completed_ == 1
    assert clf.predict_proba(X).shape == (200, 3)


class Breaks(torch.optim.SGD):
    """Makes weights that are not finite in the step with this number, of each training."""

    at = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.n_steps = 0

    def step(self, closure=None):
        loss = super().step(closure)
        self.n_steps += 1
        if self.n_steps == self.at:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.detach().fill_(torch.nan)
        return loss


@pytest.mark.parametrize("kind", [MixupClassifier, MixupRegressor])
def test_a_pilot_that_diverges_counts_as_far_as_it_went(kind, monkeypatch):
    y = X[:, 0] if kind is MixupRegressor else Y
    net = estimator(kind, optimizer=Breaks)
    for at in (11, 12):  # of a pilot a step within the third epoch, and its last
        monkeypatch.setattr(Breaks, "at", at)
        with pytest.raises(DivergenceError, match=r"epoch 3: .*\(lr=0.02\)"):
            net.set_params(max_epochs=5).fit(X, y)
        assert net.set_params(max_epochs="auto").fit(X, y).n_epochs_ <= 2
    monkeypatch.setattr(Breaks, "at", 1)
    with pytest.raises(DivergenceError, match=r"epoch 1: .*\(lr=0.02\)"):
        net.fit(X, y)
