"""What the estimators with cross-validation need of scikit-learn's own parts, once.

* ``_safe_indexing`` takes rows of arrays, sparse matrices and tables of pandas or polars, and
  ``_check_method_params`` does so for those arguments of a fit that are as long as the rows.
  Cross-validation uses both; neither has a public name.
* Scorers made by ``make_scorer`` are of the class ``_BaseScorer`` and keep their metric in
  ``_score_func``, where it shows whether it takes weights.
"""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from sklearn import get_config
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import _check_method_params


def rows_at(X: Any, index: Any) -> Any:
    """Rows of an array, a sparse matrix, a table or a list."""
    return _safe_indexing(X, index)


def params_at(X: Any, params: Mapping[str, Any], index: Any) -> dict[str, Any]:
    """Arguments of a fit; of those that are as long as `X`, the rows at `index`."""
    chosen: dict[str, Any] = _check_method_params(X, params, index)
    return chosen


def is_made_of_a_metric(scorer: Any) -> bool:
    """Whether ``make_scorer`` made it, so that it looks at predictions and labels only."""
    return isinstance(scorer, _BaseScorer)


def asked_for_weights(part: Any, method: str) -> Any:
    """What a part has asked for as its ``sample_weight``: True, False, or weights by another name.

    True also where metadata routing is off or nothing was said, as of pipelines and the like,
    which say no such thing of themselves.
    """
    request = None
    if get_config()["enable_metadata_routing"]:
        request = getattr(get_routing_for_object(part), method, None)
    asked = None if request is None else request.requests.get("sample_weight")
    return True if asked in (None, "sample_weight") else asked


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer has an argument ``sample_weight``, and was not told to go without."""
    if asked_for_weights(scorer, "score") is False:
        return False
    if is_made_of_a_metric(scorer):
        scorer = scorer._score_func
    try:
        return "sample_weight" in signature(scorer).parameters
    except (TypeError, ValueError):
        return False
