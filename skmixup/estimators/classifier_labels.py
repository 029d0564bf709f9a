"""The classes of a classifier: the user's labels outside, codes 0 … C − 1 inside."""

import warnings
from inspect import signature
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from skorch.utils import to_numpy
from torch import Tensor, nn

from skmixup.estimators.criteria import (
    as_log_probabilities,
    check_ignored_label,
    check_logits,
    criterion_of,
    returns_logits,
    targets_for,
    try_criterion,
)
from skmixup.estimators.outputs import OutputNet
from skmixup.estimators.several_labels import check_label_outputs, check_several_criterion
from skmixup.estimators.soft_labels import check_soft_criterion
from skmixup.labels import sorted_classes
from skmixup.training.batches import ArrayDataset, in_memory
from skmixup.training.own_loss import is_users
from skmixup.vicinal.loss import first_output

# What criterion="auto" is for several labels per row.
_SEVERAL = nn.BCEWithLogitsLoss


class ClassifyingNet(OutputNet):
    """A net with one output for each class, or for each of several labels."""

    classes: Any

    # ---- which classes there are, or how many labels

    @property
    def multilabel_(self) -> bool:
        """Whether rows have several labels, each on or off, instead of one class."""
        return bool(self.__dict__.get("_several_labels_", False))

    def criterion_to_make(self) -> Any:
        """Return the parameter `criterion`; "auto" stands for what suits the labels."""
        if not isinstance(self.criterion, str):
            return self.criterion
        if not self.multilabel_:
            return nn.CrossEntropyLoss
        unknown = self.get_params_for("criterion").keys() - signature(_SEVERAL).parameters.keys()
        if unknown:
            raise ValueError(
                f"{', '.join(f'criterion__{name}' for name in sorted(unknown))}: with several "
                f"labels per row, criterion='auto' is {_SEVERAL.__name__}, whose arguments are "
                "weight, pos_weight and reduction"
            )
        return _SEVERAL

    def _set_several_labels(self, n_labels: int, *, fresh: bool) -> None:
        """Note at the start of training that rows have several labels."""
        if not fresh and "classes_inferred_" in self.__dict__:
            if not self.multilabel_:
                raise ValueError(
                    f"y has {n_labels} labels per row, but {type(self).__name__} was fitted on "
                    f"one, of the classes {self.classes_.tolist()}"
                )
            return
        self.classes_inferred_ = np.arange(n_labels)  # as MLPClassifier has it
        self._set_kind(several=True, fresh=fresh)

    def _set_kind(self, *, several: bool, fresh: bool) -> None:
        """Note the kind of labels; a criterion that was made before they were known is remade."""
        changed = several != self.multilabel_
        self._several_labels_ = several
        if changed and not fresh and "criterion_" in self.__dict__:
            self._initialize_criterion()

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
                f"2 classes{self.who_names_classes()}"
            )
        self.classes_inferred_ = found
        self._set_kind(several=False, fresh=fresh)

    def who_names_classes(self) -> str:
        """What to do about classes that the rows of a first `partial_fit` do not have."""
        return "" if self.brings_all_rows() else "; name all, classes=[…], in the first call"

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, sorted, shape (n_classes,); of several labels the numbers of columns."""
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

    def get_notes(self) -> dict[str, Any]:
        """Return the labels, if they are of a kind that torch loads with weights_only=True."""
        notes, classes = super().get_notes(), self.__dict__.get("classes_inferred_")
        if classes is None or not all(isinstance(c, (str, int, float)) for c in classes.tolist()):
            return notes
        notes |= {"classes": classes.tolist(), "dtype": str(classes.dtype)}
        return notes | ({"several_labels": True} if self.multilabel_ else {})

    def check_notes(self, notes: dict[str, Any]) -> None:
        """Raise ValueError for a file of one label per row in a net of several, or vice versa."""
        super().check_notes(notes)
        if "target_mean" in notes:
            raise ValueError(
                f"the file holds a regressor's parameters; {type(self).__name__} is a classifier"
            )
        several = notes.get("several_labels", False)
        if "classes" in notes and not self._takes_labels() and several != self.multilabel_:
            theirs, own = ("several labels", "one") if several else ("one label", "several")
            raise ValueError(
                f"the file holds the parameters of a classifier of {theirs} per row, and this "
                f"{type(self).__name__} has {own}; load it into a new one, without `classes`"
            )

    def set_notes(self, notes: dict[str, Any]) -> None:
        """Take the labels from the notes of a file, unless this net knows its labels."""
        super().set_notes(notes)
        if "classes" in notes and self._takes_labels():
            self.classes_inferred_ = np.array(notes["classes"], dtype=notes["dtype"])
            self._labels_of_file_ = self.classes_inferred_
            self._set_kind(several=notes.get("several_labels", False), fresh=False)

    def _takes_labels(self) -> bool:
        """Whether neither the user nor data have said which labels there are; a file may have."""
        if self.classes is not None or self._fit_state_ is not None:
            return False
        known = self.__dict__.get("classes_inferred_")
        return known is None or known is self.__dict__.get("_labels_of_file_")

    def initialize(self) -> Self:
        """Make the net, as in skorch, and say which output of a module is which class."""
        super().initialize()
        if self._fit_state_ is None and self.module is not None and self.classes is not None:
            named, known = np.asarray(self.classes).tolist(), sorted_classes(self.classes).tolist()
            if named != known:
                warnings.warn(
                    f"outputs of the module stand for the sorted classes, {known[:10]}, not for "
                    f"those of the parameter `classes` in its order, {named[:10]}. That does not "
                    "matter where the module is trained now; where it was trained before, take "
                    "the rows np.argsort(classes) of its last weights",
                    UserWarning,
                    stacklevel=2,
                )
        return self

    def use_network(self, network: str, n_inputs: int, n_outputs: int) -> None:
        """Say which default network to make; it must have an output for each of `classes`."""
        if self.classes is not None:
            self._check_n_classes(n_outputs)
        super().use_network(network, n_inputs, n_outputs)

    def _check_n_classes(self, n_outputs: int) -> None:
        if len(self.classes_) != n_outputs:
            raise ValueError(
                f"classes has {len(self.classes_)} labels, {self.classes_[:20].tolist()}, but the "
                f"module has {n_outputs} outputs"
            )

    def _n_outputs(self) -> int:
        return len(self.classes_)

    # ---- codes for the loss, labels for callbacks

    def check_output(self, output: Any, target: Tensor | None) -> Any:
        """Check that there is one output per class; NLLLoss gets the logarithms it takes."""
        criterion, logits = criterion_of(self), first_output(output)
        if self.multilabel_:
            check_label_outputs(logits, len(self.classes_))
            return output
        check_logits(logits, criterion, self.classes_)
        if isinstance(criterion, nn.NLLLoss):
            return as_log_probabilities(logits, are_logits=returns_logits(self.module_))
        return output

    def loss_target(self, output: Any, target: Tensor) -> Tensor:
        """Return class codes, one-hot for a criterion such as BCEWithLogitsLoss.

        Several labels per row stay as they are.
        """
        return targets_for(criterion_of(self), output, target)

    def check_module(self, dataset: Any = None) -> None:
        """Try module and criterion on a few rows, so that errors come before training."""
        check_ignored_label(criterion_of(self), self.classes_)
        super().check_module(dataset)

    def check_criterion(self, output: Any, dataset: Any) -> None:
        """Try the criterion on the module's output for a few rows."""
        if is_users(self, "get_loss") or criterion_of(self) is None:
            return
        found = in_memory(dataset)
        members = self._fit_state_.vicinity.members()
        sample = any(getattr(vicinity, "mix_per", None) == "sample" for vicinity in members)
        needs_rows = sample or (found is not None and found[0].weight is not None)
        if self.multilabel_:
            check_several_criterion(self, first_output(output), needs_rows=needs_rows)
            return
        if found is not None and _is_matrix(found[0].target):
            check_soft_criterion(self)
        try_criterion(
            criterion_of(self),
            output,
            len(self.classes_),
            are_logits=returns_logits(self.module_),
            needs_rows=needs_rows,
        )

    def row_codes(self, data: ArrayDataset) -> NDArray[np.int64]:
        """Return the class of each row, of soft labels the most probable one.

        Rows with several labels have none, and all of them code 0.
        """
        if self.multilabel_:
            return np.zeros(len(data), dtype=np.int64)
        codes = super().row_codes(data)
        return codes.argmax(axis=1) if _is_matrix(codes) else codes

    def strata(self, data: ArrayDataset) -> NDArray[np.int64] | None:
        """Return the class of each row, or None: rows with several labels have no strata."""
        soft = _is_matrix(data.target) and not self.multilabel_
        return self.row_codes(data) if soft else super().strata(data)

    def batch_for_callbacks(self, batch: Any) -> Any:
        """Return the batch with labels as the user wrote them."""
        X, codes = super().batch_for_callbacks(batch)
        if self.multilabel_:
            return X, codes.to(torch.int64)
        if codes.ndim == 2:  # soft labels
            codes = codes.argmax(dim=1)
        classes = self.classes_
        if classes.dtype.kind in "iu" and classes[0] == 0 and classes[-1] == len(classes) - 1:
            return X, codes
        return X, classes[to_numpy(codes)]


def _is_matrix(target: Any) -> bool:
    return target is not None and target.ndim == 2
