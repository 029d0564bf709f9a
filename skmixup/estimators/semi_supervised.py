"""Interpolation consistency: a classifier that also learns from unlabelled rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral, Number, Real
from typing import Any, ClassVar, Self, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_consistent_length
from skorch.utils import is_dataset
from torch.utils.data import Subset

from skmixup.constraints import Interval
from skmixup.estimators.arguments import ClassifierParameters
from skmixup.estimators.datasets import refuse_loader
from skmixup.estimators.docstrings import documents_every_parameter
from skmixup.estimators.inputs import as_array, check_inputs, encode
from skmixup.estimators.mixup import MixupClassifier
from skmixup.estimators.parameters import passed_on
from skmixup.estimators.pilot import TrainingRows
from skmixup.estimators.unlabeled import (
    UNLABELED,
    PartlyLabeledNet,
    split_labels,
    warn_of_no_unlabeled_row,
)
from skmixup.estimators.weights import row_weights
from skmixup.networks.mlp import NARROW
from skmixup.training.batches import ArrayDataset, TensorBatches
from skmixup.vicinal.vicinity import Alpha, ManifoldMixup, Mixup, Vicinity


@documents_every_parameter(MixupClassifier)
class InterpolationConsistencyClassifier(PartlyLabeledNet, MixupClassifier):
    r"""Semi-supervised neural network classifier: interpolation consistency training.

    On rows without a label it asks that the prediction at a mixture of two rows is the mixture
    of the predictions at each. That moves the decision boundary away from where rows are dense,
    and a few labels spread along the clusters. Labelled rows are trained on with (manifold) mixup.

    The data are those of scikit-learn's :class:`~sklearn.semi_supervised.SelfTrainingClassifier`
    and :class:`~sklearn.semi_supervised.LabelSpreading`: unlabelled rows have y = −1.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        As in :class:`VicinalClassifier`; the default network for tables is a narrower one,
        two layers of 128 without embeddings.
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
        Decay of the moving average of the weights, as in :class:`VicinalClassifier`: it gives the
        predictions, and here also the targets q. 0: the network itself is its own teacher.
    layers : "auto", int, str, sequence of these, or None, default=None
        None mixes at the input, as the paper does. Otherwise the set S of layers of
        :class:`ManifoldMixupClassifier`, for labelled and unlabelled rows; "auto" was nowhere
        clearly worse in this project's benchmark, and far better on images.
    max_epochs : int or "auto", default=32
        Epochs of each call of `fit` or `partial_fit`; "auto" is 32.
    **kwargs
        All other parameters are those of :class:`MixupClassifier`.

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
    With `train_split`, validation scores are those of the labelled rows held out. A `fit` on
    labelled rows alone warns: −1 may have been numbered anew by an estimator around this one.

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

    table_network: ClassVar[dict[str, Any]] = NARROW
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MixupClassifier._parameter_constraints,
        "unlabeled_weight": [Interval(Real, 0, None, closed="left")],
        "ramp_up": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="both"),
        ],
    }

    labeled_alpha: Alpha | None
    unlabeled_weight: float
    ramp_up: float
    layers: str | int | Sequence[str | int] | None

    @overload
    def __init__(
        self,
        module: None = None,
        *,
        alpha: Alpha = ...,
        labeled_alpha: Alpha | None = ...,
        unlabeled_weight: float = ...,
        ramp_up: float = ...,
        layers: str | int | Sequence[str | int] | None = ...,
        mix_per: str = ...,
        mix_prob: float = ...,
        **kwargs: Unpack[ClassifierParameters],
    ) -> None: ...

    @overload
    def __init__(self, module: Any, **kwargs: Any) -> None: ...

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
        augment: Any = None,
        mix_epochs: float | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        criterion: Any = "auto",
        optimizer: Any = torch.optim.AdamW,
        lr: float = 3e-3,
        lr_schedule: str | Callable[[float], float] | None = "auto",
        max_epochs: int | str = 32,
        batch_size: int | str = "auto",
        iterator_train: Any = TensorBatches,
        iterator_valid: Any = TensorBatches,
        dataset: Any = ArrayDataset,
        train_split: float | Callable[..., Any] | None = None,
        callbacks: Any = None,
        predict_nonlinearity: Any = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        compile: bool = False,
        precision: str = "float32",
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))

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

    def check_parameters(self) -> None:
        """Check every parameter before any work."""
        super().check_parameters()
        self.get_labeled_vicinity().validate()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags

    # ---- fit

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, classes: Any, fresh: bool) -> Self:
        self.check_parameters()
        refuse_loader(X)
        if is_dataset(X) or self.dataset is not ArrayDataset:
            raise TypeError(
                f"{type(self).__name__} separates labelled from unlabelled rows and needs X and y "
                f"as arrays; got X of type {type(X).__name__}, dataset={self.dataset!r}"
            )
        X = check_inputs(self, X, reset=fresh or self.saw_no_data())
        y, labeled, labels = split_labels(y, of_a_part=not self.brings_all_rows())
        check_consistent_length(X, y)
        if labeled.all() and self.unlabeled_weight and self.brings_all_rows():
            warn_of_no_unlabeled_row()
        self._set_labeled_classes(labels, classes, fresh, n_unlabeled=int(np.sum(~labeled)))
        codes = self._codes(labels, labeled)
        weight = self._row_weights(sample_weight, codes, labeled)
        rows = self._rows_that_count(X, y, codes, weight)
        data = ArrayDataset(rows.X, rows.y, rows.target, rows.weight)
        self.__dict__.pop("transduction_", None)  # that of other rows, if an error ends training
        try:
            self._train(data, rows.y, fresh=fresh, seen=rows.X)
        except KeyboardInterrupt:
            if self._fit_state_.has_begun:
                self.transduction_ = self._transduce(X, labels, labeled)
            raise
        self.transduction_ = self._transduce(X, labels, labeled)
        return self

    def _codes(self, labels: NDArray[Any], labeled: NDArray[np.bool_]) -> NDArray[np.int64]:
        codes = np.full(len(labeled), UNLABELED, dtype=np.int64)
        codes[labeled] = encode(labels, self.classes_)
        return codes

    def _array_dataset(self, X: Any, y: Any) -> ArrayDataset:
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
                f"instance 0{self.who_names_classes()}"
            )
        self._set_classes(y, classes, fresh)

    def _row_weights(
        self, sample_weight: Any, codes: NDArray[np.int64], labeled: NDArray[np.bool_]
    ) -> NDArray[np.float32] | None:
        if sample_weight is not None and not isinstance(sample_weight, Number):
            sample_weight = np.asarray(as_array(sample_weight))
            if sample_weight.ndim == 1 and len(sample_weight) == len(codes):
                sample_weight = sample_weight[labeled]
        of_labeled = row_weights(
            sample_weight,
            self.class_weight,
            codes[labeled],
            self.classes_,
            as_they_are=not self.brings_all_rows(),
        )
        if of_labeled is None:
            return None
        weight = np.zeros(len(codes), dtype=np.float32)
        weight[labeled] = of_labeled
        return weight

    def _rows_that_count(self, X: Any, y: Any, codes: Any, weight: Any) -> TrainingRows:
        """Leave out labelled rows without weight, and no others."""
        rows = TrainingRows(X, y, None, codes, weight, self._fit_state_.groups)
        if weight is None:
            return rows
        counts = np.where(codes == UNLABELED, np.float32(1), weight)
        kept = self.rows_that_count(replace(rows, weight=counts))
        if len(kept.y) == len(y):
            return rows
        labeled = kept.target != UNLABELED
        mean = kept.weight[labeled].mean(dtype=np.float64) if self.brings_all_rows() else 1.0
        weight = np.where(labeled, kept.weight / mean, 0).astype(np.float32)
        return replace(kept, weight=weight)

    def _transduce(self, X: Any, labels: NDArray[Any], labeled: NDArray[np.bool_]) -> NDArray[Any]:
        transduction = np.empty(len(X), dtype=self.classes_.dtype)
        transduction[labeled] = labels
        if not labeled.all():
            positions: Any = np.flatnonzero(~labeled)
            transduction[~labeled] = self.predict(Subset(ArrayDataset(X), positions))
        return transduction

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Mean accuracy on the rows that have a label.

        Parameters
        ----------
        X : array-like of shape (n, …)
        y : array-like of shape (n,)
            Labels, −1 where there is none.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        y, labeled, labels = split_labels(y)
        check_consistent_length(predicted, y, sample_weight)
        if sample_weight is not None:
            sample_weight = np.asarray(as_array(sample_weight))[labeled]
        return float(accuracy_score(labels, predicted[labeled], sample_weight=sample_weight))
