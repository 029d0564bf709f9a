"""What happens between making a module and training it: it is shown rows, and tried on some."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Subset

from skmixup.estimators.codes import looked_up
from skmixup.estimators.datasets import check_held_out
from skmixup.estimators.first_look import (
    FirstBatchChecked,
    advice_on_type,
    is_by_position,
    is_made_of_tensors,
    many_rows,
    rows_to_show,
    shown_on,
    three_rows,
    two_rows,
    usable_sites,
    warn_of_other_rows,
)
from skmixup.estimators.images import (
    advice_for_convolutions,
    check_augmented_axes,
    check_boxes,
    check_noise,
)
from skmixup.estimators.input_types import dtype_name, input_cast, try_inputs
from skmixup.estimators.validation import HoldingOutNet
from skmixup.estimators.weights import weights_after_split
from skmixup.randomness.fit import preserved_randomness
from skmixup.training.batches import ArrayDataset, in_memory
from skmixup.vicinal.adaptation import adapt_to_rows, adaptable_modules
from skmixup.vicinal.layer_checks import N_ROWS
from skmixup.vicinal.loss import first_output
from skmixup.vicinal.nested import n_rows, take


class LookingNet(HoldingOutNet):
    """A net whose module is shown training rows, and tried, before it is trained."""

    def _adapt_module(self, dataset: Any, y: Any = None) -> None:
        """Show training rows to modules with a method `adapt_to_data`, before they are trained.

        Rows that `train_split` holds out are not shown.
        """
        if adaptable_modules(self.module_):
            train = self._training_part(dataset, y)
            shown = rows_to_show(self, train)
            if shown is not None:
                rows, y = shown_on(*shown, self._device_)
                self.set_training(False)
                with self.full_precision():  # NumPy knows no bfloat16
                    adapt_to_rows(self.module_, self.infer, rows, y)
                    if self.module_ is not self.average_network():  # not all need be in a buffer
                        with self.average_shown():
                            adapt_to_rows(self.module_, self.infer, rows, y)

    def _training_part(self, X: Any, y: Any) -> Any:
        """Split as training will; the split is kept for it, since it may be random."""
        if not self.train_split:
            return self.weigh_split(X, None)[0]
        batch_size = self.batch_size
        key = (id(X), id(self.train_split))
        try:
            split = self.get_split_datasets(X, y)
        finally:
            self.batch_size = batch_size
        self._fit_state_.split = key, split
        return split[0]

    def weigh_split(self, train: Any, valid: Any) -> tuple[Any, Any]:
        """Leave out rows without weight; in `fit`, make the mean weight of both parts 1.

        Where all rows held out are without weight, they stay, since something is to be scored.
        """
        found, held_out = in_memory(train), in_memory(valid)
        if found is None or found[0].weight is None:
            return train, valid
        data, rows = found
        own = held_out[1] if held_out is not None and held_out[0] is data else None
        if own is not None:
            scored = self._rows_with_weight(data, own)
            if 0 < len(scored) < len(own):
                valid, own = Subset(data, scored), scored
        rows, given = self._rows_with_weight(data, rows), rows
        if rows is None or not self.brings_all_rows():
            return (train if rows is given else Subset(data, rows)), valid
        codes = self.row_codes(data)
        balanced = getattr(self, "class_weight", None) == "balanced"
        scored = rows[:0] if own is None else own
        weight, in_scores = weights_after_split(
            np.asarray(data.weight), codes, rows, scored, balanced=balanced
        )
        if own is not None:
            weighed = ArrayDataset(data.X, data.y, data.target, in_scores)
            valid = Subset(weighed, own)  # type: ignore[arg-type]
        return Subset(ArrayDataset(data.X, data.y, data.target, weight), rows), valid

    def _rows_with_weight(self, data: ArrayDataset, rows: Any) -> Any:
        """Those of the rows (None: of all) that count, or have no label; None: all do."""
        weight, codes = np.asarray(data.weight), self.row_codes(data)
        counts = (weight > 0) | (codes < 0)
        if self.names_rows() or counts[slice(None) if rows is None else rows].all():
            return rows
        return np.flatnonzero(counts) if rows is None else rows[counts[rows]]

    def row_codes(self, data: ArrayDataset) -> NDArray[np.int64]:
        """Return the class of each row of data in memory, below 0 where it has no label."""
        return np.asarray(data.target)

    def brings_all_rows(self) -> bool:
        """Whether a call brings all rows, as `fit` does and `partial_fit` does not."""
        state = self._fit_state_
        return state is None or state.whole

    def _check_layers(self, dataset: Any) -> None:
        """Find out before training which layers can be mixed at; errors name those that cannot.

        For a stream :meth:`check_first_batch` does it.
        """
        state = self._fit_state_
        rows = three_rows(self, dataset) if self.mixes() else None
        if rows is not None and is_made_of_tensors(rows):
            check_boxes(state.vicinity, rows)
            check_noise(state.vicinity, rows)
            many = many_rows(dataset)
            codes = looked_up(self, rows if many is None else many)
            state.sites = usable_sites(self, state.vicinity, state.sites, rows, codes)

    def _check_augment(self, dataset: Any) -> None:
        """Augment three rows, so that errors come before training."""
        augmentation = self.get_augmentation()
        rows = None if augmentation is None else three_rows(self, dataset)
        if augmentation is not None and rows is not None and is_made_of_tensors(rows):
            check_augmented_axes(augmentation.function, rows)
            with preserved_randomness(self._device_):
                augmentation(self._on_device(rows))

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches; of a stream, whose rows could not be seen before, the first is checked."""
        batches = super().get_iterator(dataset, training=training)
        if training and not is_by_position(dataset):
            return FirstBatchChecked(batches, self.check_first_batch)
        return batches

    def check_first_batch(self, X: Any) -> None:
        """Check layers to mix at, and the criterion, on rows of the first batch of a stream."""
        if not is_made_of_tensors(X):
            return
        rows = input_cast(self)(take(X, torch.arange(N_ROWS) % n_rows(X)))
        if self.mixes():
            state = self._fit_state_
            codes = looked_up(self, rows)
            state.sites = usable_sites(self, state.vicinity, state.sites, rows, codes)
        self.set_training(False)
        output = self._try_module(lambda: self.infer(rows), rows)
        if isinstance(rows, torch.Tensor):  # arrays are predicted in the type that it took
            self._input_dtype_ = dtype_name(rows.dtype)
        self.check_output(output, None)
        self._check_axes(output)
        self.check_criterion(output, None)

    def _check_batches(self, dataset: Any, y: Any) -> None:
        """Raise ValueError if there is no batch to train on, or what is held out does not fit."""
        if self.get_params_for("iterator_train").get("drop_last"):
            self.get_iterator(self._training_part(dataset, y), training=True)
        if self.train_split:
            self._training_part(dataset, y)
            held_out = self._fit_state_.split[1][1]
            if held_out is not None:
                check_held_out(held_out, self._check_target)

    def _check_target(self, target: Any) -> None:
        """Raise an error for the target of an item of a data set that is none of those fitted."""
        raise NotImplementedError

    def check_module(self, dataset: Any = None) -> None:
        """Run module and criterion on a small batch, so that errors come before training.

        For a stream :meth:`check_first_batch` does it.
        """
        rows = two_rows(self, dataset)
        if rows is None:
            return
        self.set_training(False)

        def run(rows: Any) -> Any:
            return try_inputs(self, rows, cast=in_memory(dataset) is None)

        output = self._try_module(lambda: run(rows), rows)
        self.check_output(output, None)
        self._check_axes(output)
        self.check_criterion(output, dataset)
        if self.module is not None:
            with torch.no_grad(), self.uncompiled():
                warn_of_other_rows(self.module_, run, rows, output)

    def _try_module(self, run: Callable[[], Any], rows: Any) -> Any:
        """Run the module before it is trained; images it cannot take may have moved axes.

        As it was before it was compiled, if it is: compiling it for a few rows takes long.
        """
        try:
            with torch.no_grad(), self.uncompiled():
                return self.find_memory_order(run)
        except (TypeError, AttributeError) as error:
            if not isinstance(rows, (list, tuple)):
                raise
            raise TypeError(
                f"{type(self.module_).__name__} does not take the {type(rows).__name__} of "
                f"{len(rows)} parts that a minibatch of X is: torch makes columns of rows that "
                "are lists or tuples, as of several inputs. Let the data set yield one array or "
                "tensor per row, such as torch.tensor(row, dtype=torch.float32), or the module's "
                f"forward take them apart ({error})"
            ) from error
        except RuntimeError as error:
            advice = advice_for_convolutions(self.module_, rows) or advice_on_type(
                self.module_, rows
            )
            if advice is None:
                raise
            raise ValueError(f"{advice} ({error})") from error

    def _check_axes(self, output: Any) -> None:
        """Raise ValueError for an output in evaluation mode that has more axes than predictions.

        In training the third one is that of members. Who predicts by code of their own may do so.
        """
        values = first_output(output)
        if not isinstance(values, torch.Tensor) or values.ndim < 3:
            return
        own = {"predict", "predict_proba", "evaluation_step", "forward_iter"}
        users = any(own & vars(kind).keys() for kind in self.users_classes())
        if users or callable(getattr(self, "predict_nonlinearity", None)):
            return
        shape = tuple(values.shape)
        raise ValueError(
            "in evaluation mode the module must return one number for each class or target, of "
            f"shape (n, {shape[1]}); of {shape[0]} rows it returned {shape}. Average the axes "
            "that follow in the module, output.flatten(2).mean(dim=2)"
        )

    def check_criterion(self, output: Any, dataset: Any) -> None:
        """Raise an error if the criterion cannot be computed on the module's output."""
