"""What a classifier is trained on: arrays, tables and data sets become inputs, codes, weights."""

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length
from skorch.utils import is_dataset
from torch import Tensor, nn
from torch.utils.data import Dataset

from skmixup.estimators.classifier_labels import ClassifyingNet
from skmixup.estimators.dataset_batches import CollatedBatches, DatasetBatches
from skmixup.estimators.datasets import (
    check_label,
    first_item,
    labels_for,
    labels_of,
    note_inputs,
    one_label_a_row,
    refuse_loader,
)
from skmixup.estimators.dicts import refuse_several_inputs
from skmixup.estimators.input_types import input_cast
from skmixup.estimators.inputs import check_inputs, check_labels, encode
from skmixup.estimators.pilot import TrainingRows
from skmixup.estimators.pilot_judges import ClassJudge
from skmixup.estimators.piloted import PilotedNet
from skmixup.estimators.several_labels import (
    check_indicators,
    densified,
    n_labels_in,
    read_indicators,
    refuse_other_kinds,
    warn_of_one_hot,
)
from skmixup.estimators.soft_labels import read_soft_labels
from skmixup.estimators.weights import normalized_weights, row_weights
from skmixup.training.batches import ArrayDataset, TensorBatches, in_memory
from skmixup.vicinal.blocks import unwrap


class FittingNet(PilotedNet, ClassifyingNet):
    """A classifier that takes arrays, tables, tensors and data sets to train on."""

    judged_criteria: ClassVar[tuple[Any, ...]] = ("auto", nn.CrossEntropyLoss)

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, classes: Any, fresh: bool) -> Self:
        self.check_parameters()
        refuse_loader(X)
        if is_dataset(X):
            self.refuse_groups(self._fit_state_.groups)
            y = self._check_dataset(X, y, sample_weight, classes, fresh or self.saw_no_data())
            return self._train(X, y, fresh=fresh, seen=X)
        refuse_several_inputs(X, y)
        first = fresh or self.saw_no_data()
        X = check_inputs(self, X, reset=first)
        y, sparse = densified(self.in_known_order(y, first=first))
        named = self._named_classes(classes, fresh=fresh)
        if first:
            self._named_columns_ = named
        several = read_indicators(y) if named is None else None
        if self.multilabel_ and not fresh:
            several = check_indicators(y, len(self.classes_))
        if several is not None:
            return self._fit_several(X, several, sample_weight, fresh=fresh, sparse=sparse)
        soft = read_soft_labels(y, named)
        if soft is not None:
            return self._fit_soft(X, *soft, sample_weight, fresh=fresh)
        refuse_other_kinds(y)
        y = check_labels(y)
        check_consistent_length(X, y)
        if self.dataset is not ArrayDataset:
            data = self._own_dataset(X, y, sample_weight)
            self._set_classes(check_labels(labels_of(data, y)), classes, fresh)
            return self._train(data, y, fresh=fresh, seen=X)
        self._set_classes(y, classes, fresh)
        codes = encode(y, self.classes_)
        weight = row_weights(
            sample_weight,
            self.class_weight,
            codes,
            self.classes_,
            as_they_are=not self.brings_all_rows(),
        )
        groups = self._fit_state_.groups
        rows = self.rows_that_count(TrainingRows(X, y, sample_weight, codes, weight, groups))
        self.find_length(rows, fresh=fresh)
        return self._train_on(rows, rows.y, fresh=fresh)

    def _train_on(self, rows: TrainingRows, y: NDArray[Any], *, fresh: bool) -> Self:
        """Train on rows, whose labels callbacks see as `y`."""
        data = ArrayDataset(rows.X, y, rows.target, rows.weight)
        return self._train(data, y, fresh=fresh, seen=rows.X)

    def pilot_judge(self, rows: TrainingRows) -> ClassJudge:
        """Judge a pilot by its log-loss."""
        return ClassJudge(rows)

    def pilot_parameters(self) -> dict[str, Any]:
        """Name all classes, of which a pilot may see some."""
        return {"classes": self.classes_}

    @property
    def temperature_(self) -> float:
        """What the default network's logits are divided by; 1 if nothing was found."""
        self.check_trained()
        temperature = getattr(unwrap(self.module_), "temperature", 1.0)
        return float(temperature) if isinstance(temperature, float | Tensor) else 1.0

    def _named_classes(self, classes: Any, *, fresh: bool) -> Any:
        """Return the classes that columns of soft labels have, or None where nobody says.

        In a later call of `partial_fit` they are in the order that the first one named them in.
        """
        if classes is not None or self.classes is not None:
            return self.classes if classes is None else classes
        if fresh or self.multilabel_:
            return None
        named = self.__dict__.get("_named_columns_")
        return self.__dict__.get("classes_inferred_") if named is None else named

    def _fit_several(
        self,
        X: Any,
        indicators: NDArray[np.float32],
        sample_weight: Any,
        *,
        fresh: bool,
        sparse: str | None,
    ) -> Self:
        """Train on several labels per row; callbacks see them as a matrix of integers."""
        check_consistent_length(X, indicators)
        if self.class_weight is not None:
            raise ValueError(
                "class_weight weighs rows by their one class, and y is several labels per row; "
                "use criterion__pos_weight=torch.tensor([…]) with a weight for each label that is "
                "on, or sample_weight"
            )
        if self.dataset is not ArrayDataset:
            raise TypeError(
                f"several labels per row need the default `dataset`; got {self.dataset!r}"
            )
        self.refuse_groups(self._fit_state_.groups)  # there is no pilot that would split by them
        if self.brings_all_rows():
            warn_of_one_hot(indicators)
        self._set_several_labels(indicators.shape[1], fresh=fresh)
        self._sparse_kind_ = sparse
        y = indicators.astype(np.int64)
        weight = normalized_weights(sample_weight, len(y), as_they_are=not self.brings_all_rows())
        groups = self._fit_state_.groups
        self.refuse_groups(groups)
        rows = TrainingRows(X, y, sample_weight, indicators, weight, groups)
        rows = self.rows_that_count(rows)
        return self._train_on(rows, rows.y, fresh=fresh)

    def _fit_soft(
        self,
        X: Any,
        probabilities: NDArray[np.float32],
        classes: NDArray[Any],
        sample_weight: Any,
        *,
        fresh: bool,
    ) -> Self:
        """Train on a probability for each class; callbacks see the most probable one."""
        check_consistent_length(X, probabilities)
        if self.class_weight is not None:
            raise ValueError(
                "class_weight weighs rows by their one class, and y is soft labels; use "
                "criterion__weight=torch.tensor([…]) with a weight for each class"
            )
        if self.dataset is not ArrayDataset:
            raise TypeError(f"soft labels need the default `dataset`; got {self.dataset!r}")
        self._set_classes(classes, classes, fresh)
        n_rows, partly = len(probabilities), not self.brings_all_rows()
        weight = normalized_weights(sample_weight, n_rows, as_they_are=partly)
        groups = self._fit_state_.groups
        rows = self.rows_that_count(
            TrainingRows(X, probabilities, sample_weight, probabilities, weight, groups)
        )
        self.find_length(replace(rows, target=rows.target.astype(np.float64)), fresh=fresh)
        return self._train_on(rows, classes[rows.y.argmax(axis=1)], fresh=fresh)

    def _array_dataset(self, X: Any, y: Any) -> ArrayDataset:
        X = check_inputs(self, X, reset=False)
        if self.multilabel_:
            indicators = check_indicators(y, len(self.classes_))
            check_consistent_length(X, indicators)
            return ArrayDataset(X, indicators.astype(np.int64), indicators)
        y = check_labels(y)
        check_consistent_length(X, y)
        return ArrayDataset(X, y, encode(y, self.classes_))

    def _refuse_weights(self, sample_weight: Any, needed: str) -> None:
        if sample_weight is not None or self.class_weight is not None:
            raise ValueError(f"sample_weight and class_weight need {needed}")

    def _own_dataset(self, X: Any, y: Any, sample_weight: Any) -> Any:
        self._refuse_weights(sample_weight, f"the default `dataset`; got dataset={self.dataset!r}")
        return self.get_dataset(X, y)

    def _check_dataset(
        self, X: Dataset[Any], y: Any, sample_weight: Any, classes: Any, fresh: bool
    ) -> Any:
        self._refuse_weights(sample_weight, "X and y as arrays, not a Dataset")
        first = first_item(X)
        if fresh:  # columns of arrays that it was fitted on before mean nothing any more
            self._named_columns_ = None
            self._target_names_ = []
        if self.multilabel_ and not fresh:
            n_labels = len(self.classes_)
        else:
            named = self._named_classes(classes, fresh=fresh)
            n_labels = 0 if first is None or named is not None else n_labels_in(first[1])
        if n_labels:
            if fresh:
                note_inputs(self, X)
                listed = labels_of(X)
                if listed is not None:
                    warn_of_one_hot(check_indicators(listed, n_labels))
            self._set_several_labels(n_labels, fresh=fresh)
            self._sparse_kind_ = None
        else:
            self._set_classes(labels_for(self, X, y, classes, fresh=fresh), classes, fresh)
        if first is not None:
            self._check_target(first[1])
        return y

    def _check_target(self, target: Any) -> None:
        check_label(target, self.classes_, several=self.multilabel_)

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: skorch's ``fit_loop`` calls it, after `fit` has checked everything."""

    def _codes_in(self, y: Any) -> Tensor:
        if self.multilabel_:
            return torch.from_numpy(check_indicators(y, len(self.classes_)))
        return torch.from_numpy(encode(one_label_a_row(y), self.classes_))

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches of inputs and class codes."""
        iterator = super().get_iterator(dataset, training=training)
        found = in_memory(dataset)
        if found is None:
            known = "classes_inferred_" in self.__dict__
            return DatasetBatches(iterator, input_cast(self), self._codes_in if known else None)
        if isinstance(iterator, TensorBatches):
            return iterator
        data = found[0]
        matrix = data.target is not None and data.target.ndim == 2
        return CollatedBatches(iterator, weighted=data.weight is not None, matrix=matrix)
