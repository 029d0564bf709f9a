"""A search and its rounds as scikit-learn's callbacks see them, from scikit-learn 1.9 on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SearchTask:
    """The task "search", with one subtask for each fit, or for each round where there are several.

    Parameters
    ----------
    root : sklearn.callback.CallbackContext or None
        The task of the whole fit; None where scikit-learn has no callbacks.
    search : estimator object
    n_rounds : int
    """

    def __init__(self, root: Any, search: Any, n_rounds: int):
        self._root = root
        self._search = search
        self._n_rounds = n_rounds
        self._task: Any = None

    @contextmanager
    def round(self, n_fits: int) -> Iterator[dict[str, Any]]:
        """What ``evaluate_candidates`` is told about the callbacks, during one round."""
        if self._root is None:
            yield {}
            return
        fits = {"max_subtasks": n_fits, "sequential_subtasks": False}
        several = self._n_rounds > 1
        if self._task is None:
            subtasks = {"max_subtasks": self._n_rounds} if several else fits
            self._task = self._begin(self._root.subcontext(task_name="search", **subtasks))
        if not several:
            yield {"callback_ctx": self._task}
            return
        task = self._begin(self._task.subcontext(task_name="round", **fits))
        yield {"callback_ctx": task}
        task.call_on_fit_task_end(estimator=self._search)

    def end(self) -> None:
        """All rounds are done."""
        if self._task is not None:
            self._task.call_on_fit_task_end(estimator=self._search)

    def _begin(self, task: Any) -> Any:
        return task.call_on_fit_task_begin(estimator=self._search)
