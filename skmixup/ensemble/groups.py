"""Groups of rows for networks that hold out rows of their own, in a pilot or by `train_split`."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from sklearn import get_config
from sklearn.pipeline import Pipeline

from skmixup.ensemble.net import Net
from skmixup.ensemble.rows import IndicatorRows, Rows
from skmixup.estimators.pilot import finds_length


def with_groups(estimator: Any, params: Mapping[str, Any], groups: Any) -> dict[str, Any]:
    """Arguments of ``estimator.fit``, with groups where its network may have use for them.

    With metadata routing it is the user who says so. Other kinds of pipelines may have other rows
    at their end than at their beginning.
    """
    net = Net(estimator)
    if groups is None or get_config()["enable_metadata_routing"] or not net.is_vicinal:
        return dict(params)
    whole = estimator
    while isinstance(whole, Pipeline):
        if type(whole) is not Pipeline:
            return dict(params)
        whole = whole.steps[-1][1]
    return {f"{net.prefix}groups": groups, **params}


def without_useless_groups(
    estimator: Any, params: Mapping[str, Any], rows: Rows
) -> Mapping[str, Any]:
    """Arguments of ``estimator.fit``, without groups that its network would refuse.

    Which does so depends on its parameters, and those on the setting.
    """
    net = Net(estimator)
    name = f"{net.prefix}groups"
    if name not in params or not net.is_vicinal or _uses_groups(net.estimator, rows):
        return params
    return {key: value for key, value in params.items() if key != name}


def _uses_groups(network: Any, rows: Rows) -> bool:
    split = network.train_split
    if callable(split):
        try:
            signature(split).bind(None, None, groups=None)
        except (TypeError, ValueError):
            return False
        return True
    has_pilot = len(getattr(rows.X, "shape", (0, 0))) == 2 and not isinstance(rows, IndicatorRows)
    return bool(split) or (has_pilot and finds_length(network))
