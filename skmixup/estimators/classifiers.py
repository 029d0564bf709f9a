"""The classifier for any vicinity: a skorch net that keeps scikit-learn's contract."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import StrOptions
from skorch import NeuralNetClassifier
from skorch.utils import to_device, to_numpy
from torch import Tensor, nn
from torch.utils.data import Dataset

from skmixup.estimators.base import VicinalEstimator
from skmixup.estimators.criteria import (
    as_log_probabilities,
    averaged,
    check_criterion,
    check_ignored_label,
    check_logits,
    criterion_of,
    is_binary_output,
    returns_logits,
    targets_for,
    to_probabilities,
)
from skmixup.estimators.dataset_batches import CollatedBatches, DatasetBatches
from skmixup.estimators.datasets import (
    check_held_out,
    check_label,
    first_item,
    is_dataset,
    labels_for,
    labels_of,
    refuse_loader,
)
from skmixup.estimators.dicts import refuse_several_inputs
from skmixup.estimators.docstrings import documents_every_parameter
from skmixup.estimators.input_types import input_cast
from skmixup.estimators.inputs import check_consistent_length, check_inputs, check_labels, encode
from skmixup.estimators.weights import row_weights
from skmixup.labels import sorted_classes
from skmixup.randomness.fit import PreservedRandomness
from skmixup.training.batches import ArrayDataset, TensorBatches, in_memory, split_targets
from skmixup.training.divergence import check_outputs
from skmixup.training.own_loss import is_users
from skmixup.vicinal.loss import first_output
from skmixup.vicinal.vicinity import Dirac, Vicinity


@documents_every_parameter()
class VicinalClassifier(VicinalEstimator, NeuralNetClassifier):
    r"""Neural network classifier that minimises a vicinal risk.

    It minimises :math:`\frac1m \sum_i w_i\, ℓ(f(\tilde x_i), \tilde y_i)` over virtual pairs
    drawn from a vicinity of the training pairs. It is a :class:`skorch.NeuralNetClassifier`, so
    callbacks, ``module__…``, ``optimizer__…`` and ``save_params`` work, and it keeps
    scikit-learn's contract.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        The network; its forward returns logits of shape (n, n_classes), or a tuple with these
        first. One that is k networks, each with a loss of its own, returns (n, n_classes, k) while
        it is in training mode. A method ``adapt_to_data(X)`` of it, or of a module inside it, is
        called once before training, with the training rows or what reaches the inner module of
        them. ``None`` is the default for the data: for X of shape (n, n_features)
        :class:`skmixup.networks.MLP`, which scales its inputs, for (n, channels, height, width)
        :class:`skmixup.networks.PreActResNet`. ``module__…`` are its arguments. An instance is
        copied; the copy is ``module_``.
    vicinity : Vicinity, default=None
        One of :mod:`skmixup.vicinal`; None is :class:`~skmixup.vicinal.Dirac`, that is, empirical
        risk minimisation.
    mix_epochs : int, float or None, default=None
        Draw from the vicinity during the first `mix_epochs` epochs only (int), or that fraction of
        `max_epochs` (float in [0, 1]), and train on clean pairs after. None: always.
        Very long training with mixup hurts on small data; turning it off late helps.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, as in scikit-learn; a dict has every class. Multiplies
        `sample_weight`.
    random_state : int, RandomState or None, default=None
        Source of all randomness: initial weights, order of rows, dropout, vicinity. With the
        same int on the same machine, predictions are bit-identical on CPU. Global random states
        are never changed.
    criterion : torch loss class, instance or function, default=nn.CrossEntropyLoss
        ``criterion__label_smoothing``, ``criterion__weight``, … are its arguments. It is given
        rows of logits and class codes; NLLLoss log-probabilities, and losses such as
        BCEWithLogitsLoss one-hot labels. One of your own returns one loss, or with its attribute
        ``reduction`` set to "none" that of each row, which weights and ``mix_per="sample"`` need.
    optimizer : torch optimizer class, default=torch.optim.AdamW
        Its fused kernel is used where it has one for the device; ``optimizer__fused=False``
        turns that off.
    lr : float, default=0.003
        Learning rate, at its peak. An optimizer's state that is loaded brings its moments, not its
        decayed rate.
    lr_schedule : {"auto", "cosine", "one_cycle"} or None, default="auto"
        How the learning rate moves over the steps of each call of `fit` or `partial_fit`:
        "cosine" falls to 0, "one_cycle" rises during the first 0.3 of the steps and then falls,
        None stays. "auto" is "cosine"; beside skorch's callbacks LRScheduler, which moves it, and
        EarlyStopping, which ends at an epoch that nobody knows before, it is None.
    max_epochs : int, default=32
        Epochs of each call of `fit` or `partial_fit`.
    batch_size : int or "auto", default="auto"
        Rows in a minibatch. "auto" is a power of two: next to n/32 from 16 to 64, and from 8192
        rows on next to n/128, at most 256. -1 is all rows.
    iterator_train, iterator_valid, dataset : classes
        How rows become minibatches. The defaults gather whole tensors. ``iterator_train__…``
        arguments that belong to torch's DataLoader (``num_workers``, ``sampler``, …) select it, as
        does a data set of your own.
    train_split : float, callable or None, default=None
        Holds out rows for validation: a fraction of every class (where `fit` gets `groups`, of the
        groups), or as in skorch ``ValidSplit(…)`` or ``predefined_split(data set)``. None holds
        out none.
    callbacks : list, "disable" or None, default=None
        skorch callbacks; they see labels as you wrote them and outputs for rows not mixed.
    predict_nonlinearity : callable, "auto" or None, default="auto"
        From the module's output to probabilities; "auto" is what suits the criterion, such as
        the softmax for cross-entropy. Outputs that are probabilities stay as they are for a
        criterion that is not torch's.
    warm_start : bool, default=False
        Whether `fit` goes on from where the last call ended.
    verbose : int, default=0
        1 prints a line for each epoch.
    device : "auto", str or torch.device, default="auto"
        "auto": CUDA, else MPS, else CPU. A fitted estimator unpickles also where its device is
        missing.
    compile, use_caching, torch_load_kwargs, classes
        As in :class:`skorch.NeuralNetClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        Columns of X (channels, for images).
    feature_names_in_ : ndarray of str
        Column names, where X has them.
    input_shape_ : tuple of int
        Shape of one row of X; of a dict, a dict of these, and then there is no `n_features_in_`.
    module_ : nn.Module
        The trained module.
    history_ : skorch.history.History
    n_iter_ : int
        Epochs trained.
    loss_curve_ : list of float
        Mean loss of each epoch, on the virtual pairs.

    Notes
    -----
    In `fit` the product of `sample_weight` and `class_weight` is divided by its mean over the
    training rows; in `partial_fit`, which sees a part of them, it counts as it is. In a mixed
    pair, λ·w_i weighs label y_i and (1 − λ)·w_j weighs label y_j; the sum over a minibatch is
    divided by its number of rows.

    References
    ----------
    Chapelle, Weston, Bottou, Vapnik: Vicinal risk minimization. NIPS 13 (2000).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmixup import VicinalClassifier
    >>> from skmixup.vicinal import Gaussian
    >>> X, y = load_iris(return_X_y=True)
    >>> net = VicinalClassifier(vicinity=Gaussian(0.2), random_state=0)
    >>> clf = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VicinalEstimator._parameter_constraints,
        "class_weight": [None, dict, StrOptions({"balanced"})],
    }

    def __init__(
        self,
        module: Any = None,
        *,
        vicinity: Vicinity | None = None,
        mix_epochs: float | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        criterion: Any = nn.CrossEntropyLoss,
        optimizer: Any = torch.optim.AdamW,
        lr: float = 3e-3,
        lr_schedule: str | None = "auto",
        max_epochs: int = 32,
        batch_size: int | str = "auto",
        iterator_train: Any = TensorBatches,
        iterator_valid: Any = TensorBatches,
        dataset: Any = ArrayDataset,
        train_split: Callable[..., Any] | None = None,
        callbacks: Any = None,
        predict_nonlinearity: Any = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        compile: bool = False,
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            dataset=dataset,
            train_split=train_split,
            callbacks=callbacks,
            predict_nonlinearity=predict_nonlinearity,
            warm_start=warm_start,
            verbose=verbose,
            device=device,
            compile=compile,
            use_caching=use_caching,
            torch_load_kwargs=torch_load_kwargs,
            classes=classes,
            **kwargs,
        )
        self.vicinity = vicinity
        self.lr_schedule = lr_schedule
        self.mix_epochs = mix_epochs
        self.class_weight = class_weight
        self.random_state = random_state

    def get_vicinity(self) -> Vicinity:
        """Return `vicinity`, or Dirac for None."""
        if self.vicinity is None:
            return Dirac()
        if not isinstance(self.vicinity, Vicinity):
            raise TypeError(
                "vicinity must be None or an instance of Dirac, Gaussian, Mixup, ManifoldMixup or "
                f"CutMix of skmixup.vicinal; got {self.vicinity!r}"
            )
        return self.vicinity

    # ---- fit

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        epochs: int | None = None,
    ) -> Self:
        """Train from the start (with ``warm_start=True``: go on training).

        Parameters
        ----------
        X : array-like, DataFrame or Tensor of shape (n, n_features) or (n, channels, h, w)
            Arrays become float32. Or a torch Dataset that yields (input, label), then with
            ``y=None``; integers that the module takes stay integers.
        y : array-like of shape (n,)
            Class labels: strings, booleans or integers.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row in the loss.
        groups : array-like of shape (n,), default=None
            Groups of rows for `train_split`, which then holds out whole groups.
        epochs : int, default=None
            Epochs to train, instead of `max_epochs`.

        Returns
        -------
        self
        """
        fresh = not (self.warm_start and self.initialized_)
        with self._undone_on_error(), self._grouped(groups), self._lasting(epochs):
            return self._fit(X, y, sample_weight, classes=None, fresh=fresh, whole=True)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        epochs: int | None = None,
    ) -> Self:
        """Train `epochs`, or `max_epochs`, more epochs; the first call makes the module.

        Where these are the epochs that an earlier call, cut off in the middle, had left, it goes
        on as if it had not been.

        Parameters
        ----------
        X, y, sample_weight, groups, epochs
            As in :meth:`fit`.
        classes : array-like, default=None
            All labels that later calls will bring; needed in the first call unless its y has
            every one of them.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not possible with partial_fit, which does not see all "
                "rows at once; pass a dict from sklearn.utils.class_weight.compute_class_weight"
            )
        with self._undone_on_error(), self._grouped(groups), self._lasting(epochs):
            fresh = not self.initialized_
            return self._fit(X, y, sample_weight, classes=classes, fresh=fresh, whole=False)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, classes: Any, fresh: bool, whole: bool
    ) -> Self:
        self.check_parameters()
        self._whole_ = whole
        refuse_loader(X)
        if is_dataset(X):
            y = self._check_dataset(X, y, sample_weight, classes, fresh or self.saw_no_data())
            return self._train(X, y, fresh=fresh, seen=X)
        refuse_several_inputs(X, y)
        X = check_inputs(self, X, reset=fresh or self.saw_no_data())
        y = check_labels(y)
        check_consistent_length(X, y)
        if self.dataset is not ArrayDataset:
            data = self._own_dataset(X, y, sample_weight)
            self._set_classes(check_labels(labels_of(data, y)), classes, fresh)
            return self._train(data, y, fresh=fresh, seen=X)
        self._set_classes(y, classes, fresh)
        codes = encode(y, self.classes_)
        weight = row_weights(
            sample_weight, self.class_weight, codes, self.classes_, X, as_they_are=not whole
        )
        return self._train(ArrayDataset(X, y, codes, weight), y, fresh=fresh, seen=X)

    def _labeled_rows(self, X: Any, y: Any) -> ArrayDataset:
        X, y = check_inputs(self, X, reset=False), check_labels(y)
        check_consistent_length(X, y)
        return ArrayDataset(X, y, encode(y, self.classes_))

    def _own_dataset(self, X: Any, y: Any, sample_weight: Any) -> Any:
        if sample_weight is not None or self.class_weight is not None:
            raise ValueError(
                "sample_weight and class_weight need the default `dataset`; "
                f"got dataset={self.dataset!r}"
            )
        return self.get_dataset(X, y)

    def _check_dataset(
        self, X: Dataset[Any], y: Any, sample_weight: Any, classes: Any, fresh: bool
    ) -> Any:
        if sample_weight is not None or self.class_weight is not None:
            raise ValueError(
                "sample_weight and class_weight need X and y as arrays, not a Dataset"
            )
        self._set_classes(labels_for(self, X, y, classes, fresh=fresh), classes, fresh)
        first = first_item(X)
        if first is not None:
            check_label(first[1], self.classes_)
        return y

    def _check_batches(self, dataset: Any, y: Any) -> None:
        super()._check_batches(dataset, y)
        if self.train_split:
            self._training_part(dataset, y)
            held_out = self._split_[1][1]
            if held_out is not None:
                check_held_out(held_out, self.classes_)

    def _set_classes(self, y: Any, classes: Any, fresh: bool) -> None:
        """Set ``classes_`` at the start of training; later calls must agree with them."""
        if not fresh and "classes_inferred_" in self.__dict__:
            if classes is not None and not np.array_equal(sorted_classes(classes), self.classes_):
                raise ValueError(
                    f"classes {list(classes)} differ from those of the first call: "
                    f"{self.classes_.tolist()}"
                )
            return
        given = classes if classes is not None else self.classes
        found = np.unique(y) if given is None else sorted_classes(given)
        if len(found) < 2:
            raise ValueError(
                f"y has {len(found)} class, {found.tolist()}; a classifier needs at least "
                "2 classes"
            )
        self.classes_inferred_ = found

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, sorted; shape (n_classes,)."""
        try:
            return self.__dict__["classes_inferred_"]
        except KeyError:
            if self.classes is not None and len(self.classes):
                return sorted_classes(self.classes)
            if "module_" in self.__dict__:
                raise NotFittedError(
                    f"this {type(self).__name__} was initialised or loaded, and does not know the "
                    "labels of its classes: pass them as the parameter classes=[…], also with "
                    "set_params"
                ) from None
            raise AttributeError(f"this {type(self).__name__} is not fitted yet") from None

    def check_data(self, X: Any, y: Any) -> None:
        """Nothing is left to check here: `fit` and `partial_fit` have done it."""

    def _n_outputs(self) -> int:
        return len(self.classes_)

    def check_output(self, output: Any, target: Tensor | None) -> Any:
        """Check that there is one logit per class; take logs where the criterion is NLLLoss."""
        criterion, logits = criterion_of(self), first_output(output)
        check_logits(logits, criterion, self.classes_)
        if isinstance(criterion, nn.NLLLoss):
            return as_log_probabilities(logits, are_logits=returns_logits(self.module_))
        return output

    def loss_target(self, output: Any, target: Tensor) -> Tensor:
        """Return class codes, one-hot for a criterion such as BCEWithLogitsLoss."""
        return targets_for(criterion_of(self), output, target)

    def check_module(self, dataset: Any = None) -> None:
        """Try module and criterion on a few rows: what does not fit shows before training."""
        check_ignored_label(criterion_of(self), self.classes_)
        super().check_module(dataset)

    def check_criterion(self, output: Any, dataset: Any) -> None:
        """Try the criterion on the module's output for a few rows."""
        if is_users(self, "get_loss") or criterion_of(self) is None:
            return
        found = in_memory(dataset)
        vicinity = self.get_vicinity()
        sample = getattr(vicinity, "mix_per", None) == "sample"
        check_criterion(
            criterion_of(self),
            output,
            len(self.classes_),
            are_logits=returns_logits(self.module_),
            needs_rows=sample or (found is not None and found[0].weight is not None),
        )

    def output_for_callbacks(self, output: Any) -> Any:
        """Return logits of shape (n, n_classes), also of a network with members."""
        logits = first_output(output)
        return averaged(logits.detach(), criterion_of(self)) if logits.ndim == 3 else logits

    # ---- batches: codes for the loss, labels for callbacks

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches of inputs and class codes."""
        iterator = super().get_iterator(dataset, training=training)
        found = in_memory(dataset)
        if found is None:
            classes = self.__dict__.get("classes_inferred_")
            return DatasetBatches(iterator, input_cast(self), classes)
        if isinstance(iterator, TensorBatches):
            return iterator
        return CollatedBatches(iterator, weighted=found[0].weight is not None)

    def batch_for_callbacks(self, batch: Any) -> Any:
        """Return the batch with labels as the user wrote them."""
        X, y = batch
        codes, _ = split_targets(y)
        classes = self.classes_
        if classes.dtype.kind in "iu" and classes[0] == 0 and classes[-1] == len(classes) - 1:
            return X, codes
        return X, classes[to_numpy(codes)]

    # ---- predict

    def forward_iter(self, X: Any, training: bool = False, device: Any = "cpu") -> Any:
        """Outputs of the module, batch by batch, whatever labels a data set has, if any."""
        iterator = self.get_iterator(self.get_dataset(X), training=training)
        for batch in iterator.inputs() if isinstance(iterator, DatasetBatches) else iterator:
            yield to_device(self.evaluation_step(batch, training=training), device=device)

    def _raw_outputs(self, X: Any) -> Tensor:
        """First output of the module for every row, float64 on the CPU."""
        self.check_trained()
        refuse_loader(X)
        data = X if is_dataset(X) else ArrayDataset(check_inputs(self, X, reset=False))
        # device= is passed because skorch's cached version would take the parameter, maybe "auto".
        # A DataLoader draws a seed from torch's state, a data set of the user's from any.
        randomness = PreservedRandomness(self._device_, self.module_, whole=is_dataset(X))
        window = randomness.fetch if is_dataset(X) else randomness.step
        with self._device_for_users_code(), randomness, window:
            parts = map(first_output, self.forward_iter(data, device="cpu"))
            if is_dataset(X):
                outputs = torch.cat(list(parts)).double()
            else:
                outputs = _stacked(parts, len(data))
        check_outputs(self, outputs)
        if not is_dataset(X) and len(outputs) < len(data):
            raise ValueError(
                f"only {len(outputs)} of {len(data)} rows were predicted: "
                "iterator_valid__drop_last=True leaves out what does not fill a batch; set it to "
                "False"
            )
        return outputs

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits; for two classes the difference of the second to the first.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes), or (n,) for two classes
        """
        logits = self._raw_outputs(X)
        if is_binary_output(criterion_of(self), logits, len(self.classes_)):
            if isinstance(criterion_of(self), nn.BCELoss):
                logits = torch.logit(logits, eps=torch.finfo(logits.dtype).eps)
            return logits.flatten().numpy()
        two_classes = len(self.classes_) == 2
        return (logits[:, 1] - logits[:, 0] if two_classes else logits).numpy()

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of :meth:`predict_proba`; finite where the criterion is cross-entropy.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        outputs = self._raw_outputs(X)
        if self._predicts_softmax():
            return torch.log_softmax(outputs, dim=1).numpy()
        with np.errstate(divide="ignore"):
            return np.log(self._probabilities(outputs))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._probabilities(self._raw_outputs(X))

    def _probabilities(self, outputs: Tensor) -> NDArray[np.float64]:
        return to_numpy(self._get_predict_nonlinearity()(outputs))

    def _predicts_softmax(self) -> bool:
        return self.predict_nonlinearity == "auto" and isinstance(
            criterion_of(self), nn.CrossEntropyLoss
        )

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        """Return what makes probabilities of the module's outputs; "auto" asks the criterion."""
        if self.predict_nonlinearity != "auto":
            return super()._get_predict_nonlinearity()
        criterion = criterion_of(self) if len(self._criteria) <= 1 else None
        return partial(
            to_probabilities, criterion=criterion, are_logits=returns_logits(self.module_)
        )

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each row.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n,)
        """
        proba = self.predict_proba(X)
        self._check_n_classes(proba.shape[1])
        return self.classes_[proba.argmax(axis=1)]

    def get_notes(self) -> dict[str, Any]:
        """Return the labels, if they are of a kind that torch loads with weights_only=True."""
        classes = self.__dict__.get("classes_inferred_")
        if classes is None or not all(isinstance(c, (str, int, float)) for c in classes.tolist()):
            return {}
        return {"classes": classes.tolist(), "dtype": str(classes.dtype)}

    def set_notes(self, notes: dict[str, Any]) -> None:
        """Take over the labels of a net that was saved, where this one knows none."""
        if "classes" in notes and self.classes is None and self.saw_no_data():
            self.classes_inferred_ = np.array(notes["classes"], dtype=notes["dtype"])

    def use_network(self, network: str, n_inputs: int, n_outputs: int) -> None:
        """Note which default network is to be made; `classes`, where given, must be as many."""
        if self.classes is not None:
            self._check_n_classes(n_outputs)
        super().use_network(network, n_inputs, n_outputs)

    def _check_n_classes(self, n_outputs: int) -> None:
        if len(self.classes_) != n_outputs:
            raise ValueError(
                f"classes has {len(self.classes_)} labels, {self.classes_[:20].tolist()}, but the "
                f"module has {n_outputs} outputs"
            )


def _stacked(parts: Iterable[Tensor], n_rows: int) -> Tensor:
    """All rows as float64, copied as they come.

    Kept until the end, the small outputs would lie between the activations of their batches and
    keep the memory allocator from using it again: 8 times X at a million rows of 30 columns.
    """
    rows = torch.empty(0)
    filled = 0
    for part in parts:
        if filled == 0:
            rows = torch.empty((n_rows, *part.shape[1:]), dtype=torch.float64)
        rows[filled : filled + len(part)] = part
        filled += len(part)
    return rows[:filled]
