"""A net whose training may be as long as a pilot says."""

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length
from torch import nn

from skmixup.constraints import StrOptions
from skmixup.estimators.base import VicinalEstimator
from skmixup.estimators.outputs import OutputNet
from skmixup.estimators.pilot import Judge, TrainingRows, find_length, finds_length
from skmixup.estimators.weights import check_weights
from skmixup.labels import column_names, in_known_order
from skmixup.training.batches import lies_on_a_disk
from skmixup.training.fit_state import USUAL_EPOCHS

INTERRUPTED_PILOT = (
    "{} with max_epochs='auto': a pilot was finding out how long to train, and no network was "
    "trained on all rows yet, so it is as it was before this fit. With a number, such as "
    f"max_epochs={USUAL_EPOCHS}, training begins at once, and an interrupt keeps what was learnt."
)


class PilotedNet(OutputNet):
    """A net that takes ``max_epochs="auto"``."""

    #: Values of `criterion` that a pilot can be judged with.
    judged_criteria: ClassVar[tuple[Any, ...]]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VicinalEstimator._parameter_constraints,
        "max_epochs": [
            StrOptions({"auto"}),
            *VicinalEstimator._parameter_constraints["max_epochs"],
        ],
    }

    def pilot_judge(self, rows: TrainingRows) -> Judge:
        """Return what judges a pilot's outputs for rows held out."""
        raise NotImplementedError

    def may_weigh_columns(self) -> bool:
        """Whether it is left to a pilot what columns of the default network count."""
        return "column_weights" not in self.get_params_for("module")

    def targets_shown(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return targets as a module's `adapt_to_data` is shown them."""
        return target

    def pilot_parameters(self) -> dict[str, Any]:
        """Return parameters of a pilot, which sees a part of the rows only."""
        return {}

    def in_known_order(self, y: Any, *, first: bool) -> Any:
        """Return a frame of targets with its columns in the order of the first call's.

        Columns that are no strings, or are called otherwise, are known by their places only.
        """
        if first:
            self._target_names_ = column_names(y)
            return y
        return in_known_order(y, self.__dict__.get("_target_names_", []))

    def rows_that_count(self, rows: TrainingRows) -> TrainingRows:
        """Leave out rows without weight: they might as well be absent.

        They would be mixed with others, and inputs scaled by them. A `train_split` that is a
        function, and a sampler, may name rows by their positions, and get all; what is on a disk
        is not copied, unless pilots do so anyway. There `weigh_split` leaves them out, but for a
        sampler.
        """
        counts = None if rows.weight is None else np.asarray(rows.weight) > 0
        if counts is None or counts.all() or self.names_rows():
            return rows
        copies = getattr(rows.X, "ndim", 0) == 2 and finds_length(self)
        if callable(self.train_split) or (lies_on_a_disk(rows.X) and not copies):
            return rows
        groups, sample_weight = _checked_groups(rows), rows.sample_weight
        if groups is not None:
            groups = self._fit_state_.groups = groups[counts]
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, len(rows.y))[counts]
        weight = rows.weight[counts]
        if self.brings_all_rows():
            weight = (weight / weight.mean(dtype=np.float64)).astype(np.float32)
        X, y, target = (part[counts] for part in (rows.X, rows.y, rows.target))
        return TrainingRows(X, y, sample_weight, target, weight, groups)

    def find_length(self, rows: TrainingRows, *, fresh: bool) -> None:
        """Let a pilot say how long to train and how bold to be, where that is left to it."""
        state = self._fit_state_
        whole = fresh and state.whole and state.epochs is None
        if not whole or getattr(rows.X, "ndim", 0) != 2:  # a dict has none
            self.refuse_groups(rows.groups)
            return
        if not finds_length(self):
            return
        rows = replace(rows, groups=_checked_groups(rows))
        if rows.sample_weight is not None:
            rows = replace(rows, sample_weight=check_weights(rows.sample_weight, len(rows.y)))
        try:
            found = find_length(self, rows)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(INTERRUPTED_PILOT.format(type(self).__name__))
            raise
        if found is not None:
            state.epochs = found.n_epochs
            state.temperature = found.temperature
            state.column_weights = found.column_weights

    def _default_module(self, **kwargs: Any) -> nn.Module:
        """Make the default network, with what was found for it."""
        state = self._fit_state_
        if state is not None and state.column_weights is not None:
            kwargs["column_weights"] = state.column_weights
        module = super()._default_module(**kwargs)
        if state is not None and state.temperature != 1.0:
            module.temperature.fill_(state.temperature)  # type: ignore[operator]
        return module

    def check_groups(self, groups: Any) -> None:
        """Raise ValueError for groups where nothing is held out, nor a pilot trained."""
        if not finds_length(self):
            self.refuse_groups(groups)

    def _train(self, X: Any, y: Any, *, fresh: bool, seen: Any) -> Self:
        if self._fit_state_.whole:
            self.n_epochs_ = self.epochs_of_call()
        return super()._train(X, y, fresh=fresh, seen=seen)


def _checked_groups(rows: TrainingRows) -> Any:
    """The groups, one for each row, or None."""
    if rows.groups is None:
        return None
    check_consistent_length(rows.y, rows.groups)
    return rows.groups
