"""From what users pass to a regressor's `fit` to standardised targets, and back to predictions."""

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_consistent_length
from skorch.utils import is_dataset
from torch import Tensor, nn

from skmixup.estimators.criteria import LOST_AXIS, criterion_of
from skmixup.estimators.dataset_batches import DatasetBatches
from skmixup.estimators.datasets import (
    check_listed_numbers,
    first_item,
    labels_of,
    note_inputs,
    refuse_loader,
)
from skmixup.estimators.dicts import refuse_several_inputs
from skmixup.estimators.input_types import input_cast
from skmixup.estimators.inputs import as_array, check_inputs
from skmixup.estimators.likelihood import (
    GaussianLikelihood,
    as_columns,
    check_gaussian_output,
    is_gaussian,
    means,
    of_output,
)
from skmixup.estimators.pilot import TrainingRows
from skmixup.estimators.pilot_judges import NumberJudge
from skmixup.estimators.piloted import PilotedNet
from skmixup.estimators.targets import Standardization, check_targets
from skmixup.estimators.weights import normalized_weights
from skmixup.training.batches import ArrayDataset, in_memory
from skmixup.training.own_loss import is_users
from skmixup.vicinal.draw import Draw
from skmixup.vicinal.loss import first_output, mixed_target_loss, needs_row_losses, row_losses

# Losses of torch that compare output and target element by element.
_ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
# Those that compare it with counts, probabilities or labels, which standardised targets are not.
_NOT_OF_NUMBERS = (
    nn.PoissonNLLLoss, nn.BCEWithLogitsLoss, nn.BCELoss, nn.CrossEntropyLoss, nn.NLLLoss,
    nn.KLDivLoss, nn.SoftMarginLoss, nn.MultiLabelSoftMarginLoss, nn.MultiLabelMarginLoss,
    nn.MultiMarginLoss, nn.HingeEmbeddingLoss,
)  # fmt: skip

# Targets of a later call, in standard deviations of those of the first, that a network which was
# made for outputs of about 1 hardly reaches.
_FAR = 10.0


class _KnowsClasses:
    """Stands behind skorch's net, which takes `classes` of partial_fit from metadata requests.

    A regressor's has none, and scikit-learn raises an error for what is not there. It looks at the
    bases of a class first: here they are there, and :class:`TargetNet` takes them away for good.
    """

    __metadata_request__partial_fit: ClassVar = {"classes": None}


class TargetNet(PilotedNet, _KnowsClasses):
    """A net with one output for each numeric target."""

    __metadata_request__partial_fit: ClassVar = {"classes": UNUSED}

    judged_criteria: ClassVar[tuple[Any, ...]] = (*_ELEMENTWISE, nn.GaussianNLLLoss)
    predict_nonlinearity: Any

    # ---- fit

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, fresh: bool) -> Self:
        self.check_parameters()
        refuse_loader(X)
        reset = fresh or self.saw_no_data()
        if is_dataset(X):
            return self._fit_dataset(X, y, sample_weight, fresh=fresh, reset=reset)
        refuse_several_inputs(X, y)
        X = check_inputs(self, X, reset=reset)
        y = check_targets(self.in_known_order(y, first=reset))
        check_consistent_length(X, y)
        if self.dataset is not ArrayDataset:
            raise TypeError(
                f"{type(self).__name__} standardises y and needs the default `dataset`, or X as a "
                f"torch Dataset; got dataset={self.dataset!r}"
            )
        weight = normalized_weights(sample_weight, len(y), as_they_are=not self.brings_all_rows())
        groups = self._fit_state_.groups
        rows = self.rows_that_count(TrainingRows(X, y, sample_weight, y, weight, groups))
        self._set_targets(rows.y, rows.weight, reset=reset)
        self.find_length(rows, fresh=fresh)
        data = ArrayDataset(rows.X, rows.y, self.standardized(rows.y), rows.weight)
        return self._train(data, rows.y, fresh=fresh, seen=rows.X)

    def _fit_dataset(
        self, X: Any, y: Any, sample_weight: Any, *, fresh: bool, reset: bool
    ) -> Self:
        if sample_weight is not None:
            raise ValueError("sample_weight needs X and y as arrays, not a Dataset")
        if reset:
            note_inputs(self, X)
            listed = labels_of(X) if y is None else y
            if listed is None:
                raise ValueError(
                    f"the mean and spread of targets cannot be read from a {type(X).__name__}; "
                    "pass the targets of all its rows as y"
                )
            targets = check_targets(self.in_known_order(listed, first=True))
            check_listed_numbers(X, targets)
            self._set_targets(targets, None, reset=True)
        first = first_item(X)
        if first is not None:
            self._check_target(first[1])
        return self._train(X, y, fresh=fresh, seen=X)

    def _check_target(self, target: Any) -> None:
        if self.get_params_for("iterator_train").get("collate_fn") is None:
            self.standardized(check_targets(np.asarray(as_array(target)).reshape(1, -1)))

    def pilot_judge(self, rows: TrainingRows) -> NumberJudge:
        """Judge a pilot by the criterion."""
        return NumberJudge(rows)

    def targets_shown(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return them as the loss sees them, and a module with it."""
        return self.standardized(target)

    def _set_targets(self, y: NDArray[np.float64], weight: Any, *, reset: bool) -> None:
        """Set the standardisation at the start of training; later calls must fit it."""
        columns = y.reshape(len(y), -1)
        if reset:
            self._standardization_ = Standardization.of(columns, weight)
            self._y_ndim_ = y.ndim
            return
        distance = np.abs(self.standardized(columns)).mean(axis=0, dtype=np.float64)
        if (distance > _FAR).any():
            warnings.warn(  # without the distance, so that a stream is told once
                f"the targets are more than {_FAR:g} standard deviations away, on average, from "
                "those of the first call, whose mean and spread are the units that "
                f"{type(self).__name__} trains in: it can hardly learn them. Begin anew, with a "
                "first call whose targets are like those of all rows",
                UserWarning,
                stacklevel=2,
            )

    def standardized(self, y: Any) -> NDArray[np.float32]:
        """Return targets of shape (n, …) as the loss sees them, (n, n_targets).

        Raises
        ------
        ValueError
            For more or fewer targets than there were at the start of training.
        """
        y = np.asarray(y, dtype=np.float64)
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != self._n_targets():
            raise ValueError(
                f"y has {columns.shape[1]} targets, but {type(self).__name__} was fitted on "
                f"{self._n_targets()}"
            )
        return self._standardization_.forth(columns)

    def saw_no_data(self) -> bool:
        """Whether neither `fit` nor `partial_fit` was called: the net is initialised or loaded."""
        return "_standardization_" not in self.__dict__

    def _n_targets(self) -> int:
        return len(self._standardization_.mean)

    def _n_outputs(self) -> int:
        """Outputs of the default network: for a likelihood the variances follow the means."""
        return self._n_targets() * (2 if is_gaussian(self.criterion) else 1)

    def initialize_criterion(self, *args: Any, **kwargs: Any) -> Self:
        """Make the criterion; torch's Gaussian likelihood then takes one output, as others do."""
        super().initialize_criterion(*args, **kwargs)
        if "criterion_" in self.__dict__:
            self.criterion_ = of_output(self.criterion_)
        return self

    def _array_dataset(self, X: Any, y: Any) -> ArrayDataset:
        X, y = check_inputs(self, X, reset=False), check_targets(y)
        check_consistent_length(X, y)
        return ArrayDataset(X, y, self.standardized(y))

    def row_codes(self, data: ArrayDataset) -> NDArray[np.int64]:
        """Return one class for all rows: numbers have none."""
        return np.zeros(len(data), dtype=np.int64)

    def listed_strata(self, dataset: Any, y: Any) -> None:
        """Return None: numbers have no strata."""
        return None

    # ---- batches: standardised targets for the loss, the user's for callbacks

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches of inputs and standardised targets."""
        iterator = super().get_iterator(dataset, training=training)
        if in_memory(dataset) is not None:
            return iterator
        known = not self.saw_no_data()
        return DatasetBatches(iterator, input_cast(self), self._targets_in if known else None)

    def _targets_in(self, y: Any) -> Tensor:
        return torch.from_numpy(self.standardized(check_targets(y)))

    def batch_for_callbacks(self, batch: Any) -> Any:
        """Return the batch with targets in the units of the user."""
        X, z = super().batch_for_callbacks(batch)
        return X, self._in_units(z)

    def _in_units(self, z: Any) -> NDArray[np.float64]:
        """Return outputs of shape (n, …) as predictions, of shape (n,) where y was."""
        if "_standardization_" not in self.__dict__:
            raise NotFittedError(
                f"this {type(self).__name__} was initialised or loaded, and does not know mean "
                "and spread of the targets, which a fitted one writes into its file by "
                "save_params: load such a file, or call fit or partial_fit"
            )
        values = np.asarray(z.detach().cpu() if isinstance(z, Tensor) else z, dtype=np.float64)
        values = self._standardization_.back(values.reshape(len(values), -1))
        one = self._y_ndim_ == 1 and values.shape[1] == 1
        return values[:, 0] if one else values

    # ---- the loss

    def pair_loss(
        self, criterion: Any, output: Any, target: Tensor, draw: Draw, weight: Tensor | None
    ) -> Tensor:
        """Mean loss of virtual pairs, whose targets are mixed."""
        return mixed_target_loss(criterion, output, target, draw, weight)

    def check_output(self, output: Any, target: Tensor | None) -> Any:
        """Check that there is one output for each target, with a second axis also for one."""
        values, n_targets = first_output(output), self._n_targets()
        if isinstance(criterion_of(self), GaussianLikelihood):
            if isinstance(output, tuple):
                output = tuple(as_columns(part) for part in output)
            check_gaussian_output(output, n_targets)
            return output
        if isinstance(values, Tensor) and values.ndim == 1 and n_targets == 1:
            values = values.unsqueeze(1)
            output = (values, *output[1:]) if isinstance(output, tuple) else values
        fits = isinstance(values, Tensor) and values.ndim >= 2 and values.shape[1] == n_targets
        if not fits and isinstance(criterion_of(self), _ELEMENTWISE):
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"the module must return one number for each target, shape (n, {n_targets}); got "
                f"{got}{LOST_AXIS if got == () else ''}"
            )
        return output

    def check_criterion(self, output: Any, dataset: Any) -> None:
        """Try the criterion on the module's output for a few rows."""
        criterion = criterion_of(self)
        if is_users(self, "get_loss") or criterion is None or isinstance(output, tuple):
            return
        if type(criterion) in _NOT_OF_NUMBERS:
            raise ValueError(
                f"criterion {type(criterion).__name__} compares outputs with counts, "
                "probabilities or labels, but the targets of a regressor are standardised "
                "numbers; use MSELoss, L1Loss, SmoothL1Loss, HuberLoss, GaussianNLLLoss, or a "
                "loss of your own"
            )
        output = self.check_output(output, None)
        target = torch.zeros((len(output), self._n_targets()), device=output.device)
        with torch.no_grad():
            loss = row_losses(criterion, output, target)
        found = in_memory(dataset)
        weighted = found is not None and found[0].weight is not None
        if loss.ndim == 0 and weighted:
            raise TypeError(needs_row_losses(criterion))

    # ---- predict

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predicted targets, in the units of y.

        Parameters
        ----------
        X : array-like of shape (n, …)

        Returns
        -------
        ndarray of shape (n,), or (n, n_targets) where y had two axes
        """
        outputs = self._raw_outputs(X)
        if callable(self.predict_nonlinearity):
            outputs = self.predict_nonlinearity(outputs)
        elif isinstance(criterion_of(self), GaussianLikelihood):
            outputs = means(outputs, self._n_targets())
        elif "_standardization_" in self.__dict__:  # weights of another kind may have been loaded
            self.check_output(outputs, None)
        return self._in_units(outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², as scikit-learn's regressors have it.

        Parameters
        ----------
        X : array-like of shape (n, …)
        y : array-like of shape (n,) or (n, n_targets)
            Columns of a frame are taken by the names that they had in `fit`.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        y = check_targets(self.in_known_order(y, first=False))
        return float(r2_score(y, self.predict(X), sample_weight=as_array(sample_weight)))

    def get_notes(self) -> dict[str, Any]:
        """Return mean and spread of the targets."""
        notes, standardization = super().get_notes(), self.__dict__.get("_standardization_")
        if standardization is None:
            return notes
        return notes | {
            "target_mean": standardization.mean.tolist(),
            "target_scale": standardization.scale.tolist(),
            "target_axes": self._y_ndim_,
        }

    def check_notes(self, notes: dict[str, Any]) -> None:
        """Raise ValueError for the file of a classifier."""
        super().check_notes(notes)
        if "classes" in notes:
            raise ValueError(
                f"the file holds a classifier's parameters; {type(self).__name__} is a regressor"
            )

    def set_notes(self, notes: dict[str, Any]) -> None:
        """Take over the units of a net that was saved, which its weights are in.

        Not in a fit: there weights of a checkpoint are trained on in the units of its targets.
        """
        super().set_notes(notes)
        if "target_mean" in notes and (self._fit_state_ is None or self.saw_no_data()):
            self._standardization_ = Standardization(
                np.array(notes["target_mean"]), np.array(notes["target_scale"])
            )
            self._y_ndim_ = notes["target_axes"]
