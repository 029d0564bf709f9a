"""What skorch offers keeps working, on top of scikit-learn's contract."""

import gc
import weakref
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    BatchScoring,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    ProgressBar,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.history import History
from torch import nn
from torch.utils.data import DataLoader, SequentialSampler, TensorDataset

from skmixup import ManifoldMixupClassifier, MixupClassifier, VicinalClassifier
from skmixup.networks import MLP

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 3 * np.eye(3, 4)[CODES]).astype(np.float32)
Y = np.array(["ant", "bee", "cow"])[CODES]
FAST = {"module__hidden_sizes": (8,), "max_epochs": 6, "lr": 0.02, "random_state": 0}
LINEAR = {"module": nn.Linear, "module__in_features": 4, "module__out_features": 3}
SPLIT = ValidSplit(4, stratified=True)


def test_they_are_skorch_classifiers():
    for estimator in (VicinalClassifier, MixupClassifier, ManifoldMixupClassifier):
        assert issubclass(estimator, NeuralNetClassifier)


# ---- callbacks


def test_early_stopping_stops_early():
    stop = EarlyStopping(monitor="valid_loss", patience=2, threshold=10, load_best=True)
    params = FAST | {"max_epochs": 50}
    net = MixupClassifier(train_split=SPLIT, callbacks=[stop], **params).fit(X, Y)
    assert net.n_iter_ == 3
    assert {"train_loss", "valid_loss"} <= set(net.history[-1])


@pytest.mark.parametrize("module", [None, lambda: nn.Linear(4, 3)])
def test_checkpoint_brings_back_the_best_epoch(tmp_path, module):
    params = {"max_epochs": 6, "lr": 0.02, "random_state": 0}
    checkpoint = Checkpoint(monitor="valid_loss_best", dirname=tmp_path, load_best=True)
    net = MixupClassifier(module, train_split=SPLIT, callbacks=[checkpoint], **params).fit(X, Y)
    assert (tmp_path / "params.pt").exists()
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert all(torch.equal(saved[name], p) for name, p in net.module_.state_dict().items())
    best = net.history[:, "valid_loss_best"]
    assert any(best)


def test_lr_scheduler_lowers_the_rate():
    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.1)
    net = MixupClassifier(callbacks=[schedule], **FAST).fit(X, Y)
    assert net.history[:, "event_lr"] == pytest.approx([2e-2, 2e-2, 2e-3, 2e-3, 2e-4, 2e-4])


def test_lr_scheduler_by_batch():
    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR, step_every="batch", max_lr=0.1, total_steps=24
    )
    net = MixupClassifier(callbacks=[schedule], batch_size=15, **FAST).fit(X, Y)
    rates = net.history[:, "batches", :, "event_lr"]
    assert [len(epoch) for epoch in rates] == [4] * 6
    assert max(map(max, rates)) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(("batch_size", "n_batches"), [(15, 4), ("auto", 4), (-1, 1), (7, 9)])
def test_progress_bar_counts_every_batch(batch_size, n_batches, capsys):
    bar = ProgressBar(detect_notebook=False)
    net = MixupClassifier(callbacks=[bar], batch_size=batch_size, **FAST).fit(X, Y)
    assert f"0/{n_batches}" in capsys.readouterr().err
    assert dict(net.callbacks_)["ProgressBar"].pbar_.n == n_batches


def test_the_train_loss_is_the_average_over_rows():
    batches = MixupClassifier(batch_size=16, **FAST).fit(X, Y).history[0]
    losses = [b["train_loss"] for b in batches["batches"]]
    sizes = [b["train_batch_size"] for b in batches["batches"]]
    assert sizes == [16, 16, 16, 12]
    assert batches["train_loss"] == pytest.approx(np.average(losses, weights=sizes))


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_scores_compare_the_users_labels(use_caching, on_train, device):
    score = EpochScoring("accuracy", name="accuracy", on_train=on_train, use_caching=use_caching)
    net = VicinalClassifier(train_split=SPLIT, callbacks=[score], device=device, **FAST).fit(X, Y)
    assert net.history[-1, "accuracy"] > 0.8


def test_cached_and_uncached_validation_scores_agree():
    scores = [
        (name, EpochScoring("neg_log_loss", name=name, use_caching=name == "cached"))
        for name in ("cached", "uncached")
    ]
    net = MixupClassifier(train_split=SPLIT, callbacks=scores, **FAST).fit(X, Y)
    assert np.allclose(net.history[:, "cached"], net.history[:, "uncached"], atol=1e-5)
    assert np.allclose(
        net.history[:, "uncached"], -np.array(net.history[:, "valid_loss"]), atol=1e-4
    )


def test_batch_scoring():
    score = BatchScoring("accuracy", name="accuracy", on_train=False)
    net = MixupClassifier(train_split=SPLIT, callbacks=[score], **FAST).fit(X, Y)
    assert net.history[-1, "accuracy"] > 0.8


def test_callbacks_can_be_disabled_and_set():
    assert len(MixupClassifier(callbacks="disable", **FAST).fit(X, Y).history) == 6
    net = MixupClassifier(**FAST).set_params(callbacks__print_log=None).fit(X, Y)
    assert "print_log" not in dict(net.callbacks_)


# ---- parameters of the parts


def test_module_and_optimizer_parameters():
    net = MixupClassifier(
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        module__n_members=1,
        **FAST,
    ).fit(X, Y)
    assert [m.out_features for m in net.module_.modules() if isinstance(m, nn.Linear)] == [8, 3]
    (group,) = net.optimizer_.param_groups
    assert (group["momentum"], group["nesterov"], group["lr"]) == (0.9, True, 0.02)


def test_optimizer_parameters_by_group():
    groups = [("head.*", {"lr": 0.5})]
    net = MixupClassifier(optimizer__param_groups=groups, **FAST).fit(X, Y)
    assert [group["lr"] for group in net.optimizer_.param_groups] == [0.5, 0.02]


def test_the_fused_kernel_is_the_default_and_can_be_turned_off():
    assert MixupClassifier(**FAST).fit(X, Y).optimizer_.defaults["fused"] is True
    net = MixupClassifier(optimizer__fused=False, **FAST).fit(X, Y)
    assert net.optimizer_.defaults["fused"] is False


def test_criterion_parameters():
    params = LINEAR | {"max_epochs": 1, "batch_size": -1, "random_state": 0, "lr": 1e-12}
    net = VicinalClassifier(
        criterion__label_smoothing=0.3, criterion__weight=torch.tensor([1.0, 2.0, 3.0]), **params
    ).fit(X, Y)
    logits = net.module_(torch.from_numpy(X)).detach()
    expected = net.criterion_(logits, nn.functional.one_hot(torch.from_numpy(CODES), 3).float())
    assert net.loss_curve_[0] == pytest.approx(float(expected), rel=1e-5)


def test_nll_loss_takes_probabilities():
    class Softmax(nn.Linear):
        def forward(self, x):
            return torch.softmax(super().forward(x), dim=1)

    params = {
        "module__in_features": 4,
        "module__out_features": 3,
        "max_epochs": 6,
        "random_state": 0,
    }
    nll = VicinalClassifier(Softmax, criterion=nn.NLLLoss, **params).fit(X, Y)
    plain = VicinalClassifier(nn.Linear, **params).fit(X, Y)
    assert np.allclose(nll.predict_proba(X), plain.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize(
    "params",
    [
        {"iterator_train__num_workers": 0},
        {"iterator_train": DataLoader, "iterator_valid": DataLoader},
        {"iterator_train__sampler": SequentialSampler(range(60))},
        {"iterator_train__batch_size": 7, "iterator_train__drop_last": True},
        {"iterator_train__shuffle": False, "iterator_valid__batch_size": 3},
    ],
    ids=["workers", "DataLoader", "sampler", "batch size", "order"],
)
def test_iterator_parameters(params):
    net = ManifoldMixupClassifier(**FAST, **params).fit(X, Y)
    assert net.score(X, Y) > 0.8
    if "iterator_train__drop_last" in params:
        assert net.history[-1, "batches", :, "train_batch_size"] == [7] * 8


def test_workers_load_the_batches():
    params = FAST | {"max_epochs": 1}
    net = MixupClassifier(iterator_train__num_workers=1, **params).fit(X, Y, np.ones(60))
    assert sum(net.history[-1, "batches", :, "train_batch_size"]) == 60


def test_without_shuffling_every_epoch_has_the_order_of_the_data():
    class Spy(nn.Linear):
        seen = None

        def forward(self, x):
            if self.training:
                self.seen = [*(self.seen or []), x.clone()]
            return super().forward(x)

    net = VicinalClassifier(
        Spy, module__in_features=4, module__out_features=3, max_epochs=2,
        iterator_train__shuffle=False,
    ).fit(X, Y)  # fmt: skip
    assert np.array_equal(torch.cat(net.module_.seen).numpy(), np.concatenate([X, X]))


# ---- data sets of the user


class Scaled(Dataset):
    """A data set with a transform of its own."""

    def transform(self, X, y):
        X, y = super().transform(X, y)
        return torch.as_tensor(X) / 2, y


def test_a_data_set_class_with_a_transform():
    params = LINEAR | {"max_epochs": 6, "lr": 0.05, "random_state": 0}
    net = MixupClassifier(dataset=Scaled, **params).fit(X, Y)
    assert net.classes_.tolist() == ["ant", "bee", "cow"]
    same = MixupClassifier(iterator_train=DataLoader, **params).fit(X / 2, Y)
    assert np.allclose(net.predict_proba(X / 2), same.predict_proba(X / 2), atol=1e-6)


def test_a_data_set_instance_with_a_transform():
    params = LINEAR | {"max_epochs": 6, "lr": 0.05, "random_state": 0}
    net = MixupClassifier(train_split=SPLIT, **params).fit(Scaled(X, Y), Y)
    assert net.classes_.tolist() == ["ant", "bee", "cow"]
    assert np.allclose(net.predict_proba(Scaled(X, Y)), net.predict_proba(X / 2), atol=1e-6)
    assert "valid_loss" in net.history[-1]


def test_prediction_needs_no_labels_of_a_data_set():
    net = MixupClassifier(**LINEAR, max_epochs=2).fit(Scaled(X, Y), None)
    expected = net.predict_proba(X / 2)
    assert np.allclose(net.predict_proba(Scaled(X)), expected, atol=1e-6)
    unknown = np.full(60, "dog")
    assert np.allclose(net.predict_proba(Scaled(X, unknown)), expected, atol=1e-6)


def test_a_tensor_data_set_with_its_labels():
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(CODES + 5))
    net = MixupClassifier(**FAST).fit(data, CODES + 5)
    assert net.classes_.tolist() == [5, 6, 7]
    assert (net.predict(data) == CODES + 5).mean() > 0.8
    assert (MixupClassifier(**FAST).fit(data, None).predict(data) == CODES + 5).mean() > 0.8


class Bare(torch.utils.data.Dataset):
    """Says nothing about its labels but row by row."""

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return torch.from_numpy(X[i]), int(CODES[i]) + 5


def test_a_data_set_that_does_not_list_its_labels_needs_the_classes():
    with pytest.raises(ValueError, match="classes cannot be read from a Bare; pass the labels"):
        MixupClassifier(**FAST).fit(Bare(), None)
    net = MixupClassifier(classes=[5, 6, 7], **FAST).fit(Bare(), None)
    assert net.score(X, CODES + 5) > 0.8


# ---- saving, going on


@pytest.mark.parametrize("estimator", [VicinalClassifier, ManifoldMixupClassifier])
def test_saved_parameters_load_into_a_new_net(tmp_path, estimator):
    params = {"module__n_features": 4, "module__n_outputs": 3} | FAST
    net = estimator(MLP, **params).fit(X, CODES)
    files = {
        "f_params": tmp_path / "p.pt",
        "f_optimizer": tmp_path / "o.pt",
        "f_history": tmp_path / "h.json",
    }
    net.save_params(**files)
    before = torch.get_rng_state()
    new = estimator(MLP, classes=[0, 1, 2], **params).initialize()
    assert torch.equal(before, torch.get_rng_state())
    new.load_params(**files)
    assert np.array_equal(new.predict_proba(X), net.predict_proba(X))
    assert np.array_equal(new.predict(X), net.predict(X))
    assert new.n_iter_ == 6
    assert new.partial_fit(X, CODES).n_iter_ == 12


def test_saved_parameters_load_into_a_fitted_net(tmp_path):
    net = MixupClassifier(**FAST).fit(X, Y)
    expected = net.predict_proba(X)
    net.save_params(f_params=tmp_path / "p.pt")
    net.partial_fit(X, Y)
    assert not np.array_equal(net.predict_proba(X), expected)
    net.load_params(f_params=tmp_path / "p.pt")
    assert np.array_equal(net.predict_proba(X), expected)


def test_partial_fit_goes_on_and_fit_starts_again():
    net = MixupClassifier(**FAST).fit(X, Y)
    module = net.module_
    assert net.partial_fit(X, Y).n_iter_ == 12
    assert net.module_ is module
    assert net.fit(X, Y).n_iter_ == 6
    assert net.module_ is not module


def test_warm_start_goes_on():
    warm = MixupClassifier(warm_start=True, **FAST).fit(X, Y).fit(X, Y)
    assert warm.n_iter_ == 12
    going_on = MixupClassifier(**FAST).fit(X, Y).partial_fit(X, Y)
    assert np.array_equal(warm.predict_proba(X), going_on.predict_proba(X))


def test_verbose_prints_an_epoch_a_line_and_is_off_by_default(capfd):
    MixupClassifier(**FAST).fit(X, Y).predict(X)
    assert capfd.readouterr() == ("", "")
    MixupClassifier(verbose=1, **FAST).fit(X, Y)
    lines = capfd.readouterr().out.strip().splitlines()
    assert "train_loss" in lines[0]
    assert len(lines) == 2 + 6


class Looking(nn.Linear):
    """Keeps the rows it is shown before training."""

    def adapt_to_data(self, X):
        assert not hasattr(self, "seen")
        self.register_buffer("seen", X.clone())


def test_a_module_is_shown_the_training_rows_once():
    net = MixupClassifier(Looking, module__in_features=4, module__out_features=3, max_epochs=1)
    net.partial_fit(X, Y).partial_fit(X[:20], Y[:20])
    assert torch.equal(net.module_.seen, torch.from_numpy(X).float())


def test_of_a_data_set_of_the_users_a_sample_of_rows_is_shown():
    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 2500

        def __getitem__(self, i):
            return torch.full((4,), float(i)), i % 3

    net = MixupClassifier(
        Looking, module__in_features=4, module__out_features=3, max_epochs=1, classes=[0, 1, 2]
    ).fit(Rows(), None)
    assert net.module_.seen[:, 0].tolist() == list(range(0, 2500, 2))


def test_a_history_of_another_class_is_kept():
    """Skorch takes one in its constructor, for training in several processes."""

    class Noted(History):
        pass

    given = Noted()
    net = MixupClassifier(history=given, max_epochs=2, random_state=0).fit(X, Y)
    assert type(net.history) is Noted
    first = net.history
    assert len(net.fit(X, Y).history) == len(first) == 2
    assert net.history is not first
    assert "history" not in net.get_params()


def test_callbacks_that_derive_from_nothing_are_taken():
    heard = Mock()
    heard.initialize.return_value = heard
    MixupClassifier(callbacks=[heard], max_epochs=3, random_state=0).fit(X, Y)
    assert heard.on_epoch_end.call_count == 3
    assert heard.on_train_begin.call_count == heard.on_train_end.call_count == 1


def test_a_class_that_nobody_has_any_more_is_gone_and_so_is_what_its_methods_hold():
    class Table:
        pass

    def of_one_call():
        table = Table()

        class Noted(MixupClassifier):
            def get_loss(self, *args, **kwargs):
                self.table = table
                return super().get_loss(*args, **kwargs)

        return Noted(**LINEAR, max_epochs=1).fit(X, Y), weakref.ref(table)

    net, table = of_one_call()
    assert net.predict_proba(X[:1]).shape == (1, 3)
    assert net.get_params()["module"] is nn.Linear
    del net
    gc.collect()
    assert table() is None
