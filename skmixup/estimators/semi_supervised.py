"""Interpolation consistency: a classifier that also learns from unlabelled rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_consistent_length
from torch import Tensor, nn

from skmixup.estimators.datasets import is_dataset, refuse_loader
from skmixup.estimators.docstrings import documents_every_parameter
from skmixup.estimators.inputs import as_array, check_inputs, encode
from skmixup.estimators.mixup import MixupClassifier
from skmixup.estimators.parameters import with_parameters_of
from skmixup.estimators.teacher import batch_statistics, move_average
from skmixup.estimators.unlabeled import UNLABELED, PairedBatches, rows_of, split_labels
from skmixup.estimators.weights import row_weights
from skmixup.networks.members import members_as_rows
from skmixup.training.batches import ArrayDataset
from skmixup.training.own_steps import OwnStep
from skmixup.training.vicinal_net import single_row_statistics
from skmixup.vicinal.draw import Draw
from skmixup.vicinal.loss import first_output
from skmixup.vicinal.nested import n_rows
from skmixup.vicinal.vicinity import Alpha, ManifoldMixup, Mixup, Vicinity


@documents_every_parameter(MixupClassifier)
class InterpolationConsistencyClassifier(MixupClassifier):
    r"""Semi-supervised neural network classifier: interpolation consistency training.

    On rows without a label it asks that the prediction at a mixture of two rows is the mixture
    of the predictions at each. That moves the decision boundary away from where rows are dense,
    and a few labels spread along the clusters. Labelled rows are trained on with (manifold) mixup.

    The data are those of scikit-learn's :class:`~sklearn.semi_supervised.SelfTrainingClassifier`
    and :class:`~sklearn.semi_supervised.LabelSpreading`: unlabelled rows have y = −1.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        As in :class:`VicinalClassifier`.
    alpha : float or pair of float, default=1.0
        λ ~ Beta(α, α) for pairs of unlabelled rows; 1 is the paper's choice for natural images.
        0 leaves them unmixed: the averaged network is then imitated at the rows themselves.
    labeled_alpha : float, pair of float or None, default=None
        The same for pairs of labelled rows; None: `alpha`. Where only a handful of rows of each
        class are labelled, 0 is worth trying: they mostly mix with other classes.
    unlabeled_weight : float, default=10.0
        Weight w of the consistency term at the end of the ramp-up, at least 0. The paper's 100,
        divided by the ten classes of its data sets, is 10 here (see Notes).
    ramp_up : int or float, default=0.25
        Epochs (int) or fraction of `max_epochs` (float in [0, 1]) over which the weight grows, as
        :math:`w(t) = w\,e^{-5(1 − t)^2}` with t from 0 to 1. Early predictions are worth little,
        and a network pushed to agree with them may never leave them. Counted from when the module
        was made, also over several calls of `partial_fit`.
    ema_decay : float in [0, 1), default=0.999
        Decay of the moving average of the weights, which gives the targets q and the predictions.
        0: the network itself, without average. After t steps at most (1 + t)/(10 + t), so that
        a short training is not averaged with its own beginning.
    layers : "auto", int, str, sequence of these, or None, default=None
        None mixes at the input, as the paper does. Otherwise the set S of layers of
        :class:`ManifoldMixupClassifier`, for labelled and unlabelled rows; "auto" was nowhere
        clearly worse in this project's benchmark, and far better on images.
    mix_per, mix_prob
        As in :class:`MixupClassifier`, for labelled and unlabelled rows.
    **kwargs
        The parameters of :class:`VicinalClassifier` but `vicinity`.

    Attributes
    ----------
    transduction_ : ndarray of shape (n,)
        Labels of the rows of the last `fit`: as given, and as predicted where there was none.
    module_ : nn.Module
        The averaged network. It predicts, and ``save_params`` saves it.
    student_ : nn.Module
        The network that the optimizer moves; what the average is taken of. A checkpoint saves it
        with ``Checkpoint(f_student="student.pt")``; without, training goes on from the average.

    See Also
    --------
    MixupClassifier : what this is for a y without −1, up to the averaging.
    LabeledStratifiedKFold : folds for a search, scored on labelled rows.

    Notes
    -----
    The loss of a step, with the vicinal loss over a batch of labelled rows and then a batch of as
    many unlabelled rows u, is

    .. math::  L_\mathrm{vic} + w(t)\,\frac1n \sum_i \big\| λ q_i + (1 − λ) q_j
               − p(λ u_i + (1 − λ) u_j) \big\|^2,

    where p are the network's probabilities and q = those of the averaged network. No gradient
    flows through q. An epoch goes once through the unlabelled or the labelled rows, whichever has
    more batches; the others start again as often as needed, so that few labels are seen often.

    Choices that differ from the code of the authors:

    ========================= ============================= ===================================
    what                      there                         here
    ========================= ============================= ===================================
    what is mixed for target  logits of the teacher         probabilities, as in the paper's
                                                            formula
    squared error             divided by the number of      summed over classes, so w does not
                              classes                       depend on their number
    teacher                   training mode                 no dropout, but as there BatchNorm
                                                            with the statistics of the batch
    average                   parameters                    also floating-point buffers (the
                                                            statistics of BatchNorm); integer
                                                            ones are copied
    start of the average      decay ≤ 1 − 1/(t + 1): mean   decay ≤ (1 + t)/(10 + t)
                              of all steps
    optimizer                 SGD with a cosine schedule    as in VicinalClassifier
    ========================= ============================= ===================================

    sample_weight and class_weight weigh the labelled rows; those of unlabelled rows are not used.
    With `train_split`, validation scores are those of the labelled rows held out.

    References
    ----------
    Verma, Kawaguchi, Lamb, Kannala, Bengio, Lopez-Paz: Interpolation Consistency Training for
    Semi-Supervised Learning. IJCAI 2019, arXiv:1903.03825, equation (1) and algorithm 1.

    Tarvainen, Valpola: Mean teachers are better role models. NIPS 2017, arXiv:1703.01780.

    Examples
    --------
    Two moons, of which three rows each have a label:

    >>> import numpy as np
    >>> from sklearn.datasets import make_moons
    >>> from skmixup import InterpolationConsistencyClassifier
    >>> X, y = make_moons(300, noise=0.1, random_state=0)
    >>> y_partly = np.full(300, -1)
    >>> labeled = np.r_[np.flatnonzero(y == 0)[:3], np.flatnonzero(y == 1)[:3]]
    >>> y_partly[labeled] = y[labeled]
    >>> clf = InterpolationConsistencyClassifier(max_epochs=5, random_state=0).fit(X, y_partly)
    >>> clf.transduction_.shape
    (300,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MixupClassifier._parameter_constraints,
        "unlabeled_weight": [Interval(Real, 0, None, closed="left")],
        "ramp_up": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="both"),
        ],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
    }

    @with_parameters_of(MixupClassifier)
    def __init__(
        self,
        module: Any = None,
        *,
        alpha: Alpha = 1.0,
        labeled_alpha: Alpha | None = None,
        unlabeled_weight: float = 10.0,
        ramp_up: float = 0.25,
        ema_decay: float = 0.999,
        layers: str | int | Sequence[str | int] | None = None,
        mix_per: str = "batch",
        mix_prob: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(module, alpha=alpha, mix_per=mix_per, mix_prob=mix_prob, **kwargs)
        self.labeled_alpha = labeled_alpha
        self.unlabeled_weight = unlabeled_weight
        self.ramp_up = ramp_up
        self.ema_decay = ema_decay
        self.layers = layers

    def get_vicinity(self) -> Vicinity:
        """Return the vicinity of unlabelled rows."""
        return self._vicinity_with(self.alpha)

    def get_labeled_vicinity(self) -> Vicinity:
        """Return the vicinity of labelled rows."""
        return self._vicinity_with(
            self.alpha if self.labeled_alpha is None else self.labeled_alpha
        )

    def _vicinity_with(self, alpha: Alpha) -> Vicinity:
        if self.layers is None:
            return Mixup(alpha, mix_per=self.mix_per, mix_prob=self.mix_prob)
        return ManifoldMixup(alpha, self.layers, mix_per=self.mix_per, mix_prob=self.mix_prob)

    def mixes(self) -> bool:
        """Whether training changes any row, labelled or not."""
        labeled = not self.get_labeled_vicinity().changes_nothing
        return (labeled and self.n_mixed_epochs() > 0) or super().mixes()

    def check_parameters(self) -> None:
        """Check every parameter before any work."""
        super().check_parameters()
        self.get_labeled_vicinity().validate()

    # ---- fit

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, classes: Any, fresh: bool, whole: bool
    ) -> Self:
        self.check_parameters()
        self._whole_ = whole
        refuse_loader(X)
        if is_dataset(X) or self.dataset is not ArrayDataset:
            raise TypeError(
                f"{type(self).__name__} separates labelled from unlabelled rows and needs X and y "
                f"as arrays; got X of type {type(X).__name__}, dataset={self.dataset!r}"
            )
        X = check_inputs(self, X, reset=fresh or self.saw_no_data())
        y, labeled, labels = split_labels(y)
        check_consistent_length(X, y)
        self._set_labeled_classes(labels, classes, fresh, n_unlabeled=int(np.sum(~labeled)))
        codes = self._codes(labels, labeled)
        weight = self._row_weights(sample_weight, codes, labeled, X, as_they_are=not whole)
        try:
            self._train(ArrayDataset(X, y, codes, weight), y, fresh=fresh, seen=X)
        except KeyboardInterrupt:
            if self._training_began_:
                self.transduction_ = self._transduce(X, labels, labeled)
            raise
        self.transduction_ = self._transduce(X, labels, labeled)
        return self

    def _codes(self, labels: NDArray[Any], labeled: NDArray[np.bool_]) -> NDArray[np.int64]:
        codes = np.full(len(labeled), UNLABELED, dtype=np.int64)
        codes[labeled] = encode(labels, self.classes_)
        return codes

    def _labeled_rows(self, X: Any, y: Any) -> ArrayDataset:
        X = check_inputs(self, X, reset=False)
        y, labeled, labels = split_labels(y)
        check_consistent_length(X, y)
        return ArrayDataset(X, y, self._codes(labels, labeled))

    def _set_labeled_classes(self, y: Any, classes: Any, fresh: bool, n_unlabeled: int) -> None:
        known = [c for c in (classes, self.classes) if c is not None]
        if any(np.ndim(c) and UNLABELED in np.asarray(c, dtype=object).tolist() for c in known):
            raise ValueError(
                f"classes holds {UNLABELED}, which marks unlabelled rows; give that class another "
                "label"
            )
        found = np.unique(y)
        if n_unlabeled and fresh and not known and len(found) < 2:
            raise ValueError(
                f"the labelled rows of y have {len(found)} class, {found.tolist()}, and a "
                f"classifier needs at least 2 classes. y = {UNLABELED} marks the {n_unlabeled} "
                f"unlabelled rows; if {UNLABELED} is a class of yours, give it another label, for "
                "instance 0"
            )
        self._set_classes(y, classes, fresh)

    def _row_weights(
        self,
        sample_weight: Any,
        codes: NDArray[np.int64],
        labeled: NDArray[np.bool_],
        X: Any,
        *,
        as_they_are: bool,
    ) -> NDArray[np.float32] | None:
        if sample_weight is not None:
            sample_weight = np.asarray(as_array(sample_weight))
            if sample_weight.ndim == 1 and len(sample_weight) == len(codes):
                sample_weight = sample_weight[labeled]
        of_labeled = row_weights(
            sample_weight,
            self.class_weight,
            codes[labeled],
            self.classes_,
            X[labeled],
            as_they_are=as_they_are,
        )
        if of_labeled is None:
            return None
        weight = np.zeros(len(codes), dtype=np.float32)
        weight[labeled] = of_labeled
        return weight

    def _transduce(self, X: Any, labels: NDArray[Any], labeled: NDArray[np.bool_]) -> NDArray[Any]:
        transduction = np.empty(len(X), dtype=self.classes_.dtype)
        transduction[labeled] = labels
        if not labeled.all():
            transduction[~labeled] = self.predict(ArrayDataset(X[~labeled]))
        return transduction

    # ---- the averaged network, and the one in training

    def initialize_module(self) -> Self:
        """Make the module that predicts and its copy that is trained."""
        super().initialize_module()
        self.student_ = deepcopy(self.module_)
        self._n_averaged_ = 0
        return self

    def _adapt_module(self, dataset: Any, y: Any = None) -> None:
        """Let both networks see the training rows: not all that they learn need be in a buffer."""
        super()._adapt_module(dataset, y)
        with self._student_as_module():
            super()._adapt_module(dataset, y)
        self.student_.load_state_dict(self.module_.state_dict())

    def get_all_learnable_params(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Leave out the averaged network: the optimizer moves the student."""
        averaged = {id(parameter) for parameter in self.module_.parameters()}
        return (item for item in super().get_all_learnable_params() if id(item[1]) not in averaged)

    def _were_loaded(self, files: set[str]) -> None:
        """Let the student go on from the network that was loaded, if it was not loaded itself."""
        super()._were_loaded(files)
        if "f_params" in files and "f_student" not in files:
            self.student_.load_state_dict(self.module_.state_dict())
        self._n_averaged_ = sum(epoch.get("train_batch_count", 0) for epoch in self.history)

    @contextmanager
    def _student_as_module(self) -> Iterator[None]:
        """Let everything that trains ``module_`` train the student."""
        averaged = self.module_
        self.__dict__["module_"] = self.student_
        try:
            yield
        finally:
            self.__dict__["module_"] = averaged

    def _update_average(self) -> None:
        """Follow the student, faster at the beginning."""
        t = self._n_averaged_
        decay = min(self.ema_decay, (1 + t) / (10 + t))
        move_average(self.module_, self.student_, decay)
        self._n_averaged_ += 1

    # ---- the training step

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> Any:
        """Resolve the second vicinity beside the first, then run skorch's loop."""
        self._labeled_vicinity_ = self.get_labeled_vicinity().validate()
        self._unlabeled_ = None
        self._n_checked_ = self._n_averaged_
        return super().fit_loop(X, y, epochs=epochs, **fit_params)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Start counting the steps of the epoch."""
        super().on_epoch_begin(net, **kwargs)
        self._step_ = 0

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """One optimizer step on labelled and unlabelled rows, then a new average."""
        X, y, *unlabeled = batch
        self._unlabeled_ = self._on_device(unlabeled[0]) if unlabeled else None
        try:
            step = super().train_step((X, y), **fit_params)
        finally:
            self._unlabeled_ = None
        self._step_ += 1
        self._update_average()
        return step

    def mixes_training_rows(self) -> bool:
        """Whether labelled rows, which callbacks see, are mixed in some epoch."""
        return not self._labeled_vicinity_.changes_nothing and self.n_mixed_epochs() > 0

    def check_own_step(self, step: OwnStep) -> None:
        """Raise RuntimeError where a step of the user's own left out what happens here."""
        if not step.whole or self._n_averaged_ == self._n_checked_:
            raise self._incomplete_step()
        self._n_checked_ = self._n_averaged_

    def _incomplete_step(self) -> RuntimeError:
        return RuntimeError(
            f"{type(self).__name__}.train_step trains one network on rows with and without "
            "labels, and then moves another, which predicts; a train_step or train_step_single of "
            "your own must call that of super()"
        )

    def draw_step(self, X: Any) -> Draw:
        """Draw for the labelled and the unlabelled rows; ask the averaged network for targets."""
        labeled, unlabeled = Draw(), Draw()
        if self._mixing_:
            labeled = self._labeled_vicinity_.draw(X, self._rng_, self._sites_)
        u = self._unlabeled_
        if u is None:
            return labeled
        if self._mixing_:
            unlabeled = self._vicinity_.draw(u, self._rng_, self._sites_)
        if self.module_.training:
            self.module_.eval()
        if not self.student_.training:
            self.student_.train()
        with torch.no_grad(), batch_statistics(self.module_, self.student_, n_rows(u)):
            q = self._class_probabilities(self.infer(u))
        return _ConsistencyDraw(
            labeled=labeled,
            unlabeled=unlabeled,
            rows=u,
            target=unlabeled.apply(q),
            weight=self._ramped_weight(),
        )

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Loss and gradients of the student."""
        if len(batch) != 2:  # with unlabelled rows, which only train_step takes
            raise self._incomplete_step()
        with self._student_as_module():
            return super().train_step_single(batch, **fit_params)

    def step_loss(
        self, X: Any, y: Any, draw: Draw, **fit_params: Any
    ) -> tuple[Tensor, Any, Tensor | None]:
        """Vicinal loss of the labelled rows plus the weighted consistency of the unlabelled."""
        if not isinstance(draw, _ConsistencyDraw):
            return super().step_loss(X, y, draw, **fit_params)
        loss, output, mixed = super().step_loss(X, y, draw.labeled, **fit_params)
        with single_row_statistics(self.module_, n_rows(draw.rows)):
            predicted, _ = self.forward_mixed(draw.rows, draw.unlabeled, **fit_params)
        logits = members_as_rows(first_output(predicted))
        n_members = len(logits) // n_rows(draw.rows)
        target = draw.target.repeat_interleave(n_members, dim=0) if n_members > 1 else draw.target
        gap = self._class_probabilities(logits) - target
        return loss + draw.weight * gap.square().sum(dim=1).mean(), output, mixed

    def _class_probabilities(self, output: Any) -> Tensor:
        return self._get_predict_nonlinearity()(first_output(output))

    def _ramped_weight(self) -> float:
        length = self.ramp_up * (self._n_epochs_ if isinstance(self.ramp_up, float) else 1)
        epochs = len(self.history) - 1 + self._step_ / self._n_steps_
        t = min(1.0, epochs / length) if length > 0 else 1.0
        return float(self.unlabeled_weight * np.exp(-5 * (1 - t) ** 2))

    # ---- batches

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Split as `train_split` says; of the rows held out, keep those with a label."""
        train, valid = super().get_split_datasets(X, y, **fit_params)
        if valid is None:
            return train, None
        scored = rows_of(valid, labeled=True)
        if not len(scored):
            raise ValueError(
                f"train_split held out {len(valid)} rows, none of them with a label to score; "
                "hold out more, or use skorch.helper.predefined_split with labelled rows"
            )
        return train, scored

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches of labelled and of unlabelled rows, side by side, for training."""
        if not training:
            return super().get_iterator(dataset)
        labeled, unlabeled = (rows_of(dataset, labeled=which) for which in (True, False))
        if not len(labeled):
            raise ValueError("train_split left no labelled row to train on")
        batches = super().get_iterator(labeled, training=True)
        if len(unlabeled):
            batches = PairedBatches(batches, super().get_iterator(unlabeled, training=True))
        self._n_steps_ = len(batches)
        return batches

    def batch_for_callbacks(self, batch: Any) -> Any:
        """Return the labelled rows, with labels as the user wrote them."""
        return super().batch_for_callbacks((batch[0], batch[1]))


@dataclass(frozen=True)
class _ConsistencyDraw(Draw):
    """The random choices of a step on labelled and unlabelled rows, with the targets q mixed."""

    labeled: Draw = field(default_factory=Draw)
    unlabeled: Draw = field(default_factory=Draw)
    rows: Any = None
    target: Any = None
    weight: float = 0.0
