"""The space that settings are chosen from, and the estimator's own setting in it.

``"auto"`` is a space around the estimator's own values, for what matters to a network trained with
mixup and is right for no two data sets: the strength of mixing (none included), where it mixes,
dropout, learning rate, weight decay, epochs and capacity; for numeric targets also the partners.
"""

from collections.abc import Iterable, Sequence
from inspect import Parameter
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform, uniform
from sklearn.base import is_regressor

from skmixup.ensemble.net import Net
from skmixup.ensemble.rows import LabeledRows, Rows
from skmixup.ensemble.sklearn_internals import rows_at
from skmixup.estimators import InterpolationConsistencyClassifier
from skmixup.estimators.pilot import LEAST_WEIGHTED
from skmixup.estimators.targets import Standardization
from skmixup.networks.importance import column_importance, is_concentrated, rows_looked_at
from skmixup.networks.mlp import APART
from skmixup.training.fit_state import USUAL_EPOCHS

Setting = dict[str, Any]

ALPHAS = [0.0, 0.1, 0.2, 0.4, 1.0]
N_EPOCHS = 6
COLUMN_WEIGHTS: list[str | None] = [None, "importance"]
#: Up to so many rows a third of the own number of epochs is the least; beyond, as many steps.
USUAL_ROWS = 2000
WIDEST = 256

#: The network for tables of ``estimator=None``, and how it is trained.
TABLE_NETWORK: dict[str, Any] = {
    "mix_per": "sample",
    "lr": 2e-3,
    "max_epochs": 48,
    **{f"module__{name}": value for name, value in APART.items()},
}


def automatic_space(
    net: Net, n_dimensions: int, n_rows: int, *, few_matter: bool = False
) -> dict[str, Any]:
    """The space that ``param_distributions="auto"`` stands for, as a user would write it.

    Parameters
    ----------
    net : Net
    n_dimensions : int
        Of X: the default network for tables has more settings than others.
    n_rows : int
        Of X: an epoch of many rows has more steps, and noisy ones want few of them.
    few_matter : bool
        Whether trees find that few of many columns matter.
    """
    if not net.is_vicinal:
        raise ValueError(
            "param_distributions='auto' is made for the estimators of skmixup, alone or at the "
            f"end of a pipeline; for {type(net.estimator).__name__} give a dict of parameter name "
            "→ list or scipy distribution"
        )
    own = net.estimator
    is_table = own.module is None and n_dimensions <= 2
    few = min(1.0, USUAL_ROWS / n_rows)
    has_dropout = net.takes(f"{net.prefix}module__dropout")
    space = {
        "alpha": ALPHAS if "alpha" in own.get_params() else None,
        "layers": ["auto", "input"] if getattr(own, "layers", None) == "auto" else None,
        **_pairing(own),
        "lr": _rates(own.lr, *((1 / 6, 5) if is_table else (1 / 3, 3))),
        "optimizer__weight_decay": _weight_decays(net),
        "max_epochs": _epochs(own.max_epochs, *((few / 3, 2) if is_table else (0.5, 1.5))),
        "module__dropout": uniform(0.0, 0.4) if is_table and has_dropout else None,
        "module__hidden_sizes": _sizes(net) if is_table else None,
        "module__embedding": _embeddings(own) if is_table else None,
        "module__column_weights": COLUMN_WEIGHTS if is_table and few_matter else None,
    }
    return {net.prefix + name: values for name, values in space.items() if values is not None}


def _pairing(own: Any) -> dict[str, Any]:
    """Partners of all kinds, or with similar targets, and how similar: for numbers only.

    Classes are different or not, and there is nothing between to draw nearer.
    """
    if not is_regressor(own) or "pairing" not in own.get_params():
        return {}
    return {
        "pairing": ["uniform", "similar"],
        "bandwidth": loguniform(own.bandwidth / 5, own.bandwidth * 2),
    }


def _embeddings(own: Any) -> list[str | None]:
    """Kinds of embeddings; an ensemble of classifiers gains from two kinds of curves."""
    periodic: list[str | None] = [None, "periodic"]
    return periodic if is_regressor(own) else [*periodic, "piecewise"]


def _rates(own: Any, least: float, most: float) -> Any:
    """Learning rates around the own one."""
    return loguniform(least * own, most * own) if isinstance(own, Real) else None


def _weight_decays(net: Net) -> Any:
    """Up to ten times less and more than now, for optimizers that have weight decay."""
    own = net.value(f"{net.prefix}optimizer__weight_decay")
    if not isinstance(own, Real):
        return None
    middle = float(own) or 1e-4
    return loguniform(middle / 10, middle * 10)


def _epochs(own: Any, least: float, most: float) -> list[int] | None:
    """Numbers of epochs of even ratios, with the own one."""
    own = USUAL_EPOCHS if own == "auto" else own
    if not isinstance(own, Integral):
        return None
    own = int(own)
    numbers = np.geomspace(max(1, least * own), max(1, most * own), N_EPOCHS)
    return sorted({own, *map(round, numbers.tolist())} - {0})


def _sizes(net: Net) -> list[tuple[int, ...]] | None:
    """The hidden layers as they are, one more of them, and twice as wide ones."""
    own = net.value(f"{net.prefix}module__hidden_sizes")
    if not isinstance(own, Sequence) or not own:
        return None
    own = tuple(own)
    wide = tuple(max(size, min(2 * size, WIDEST)) for size in own)
    return list(dict.fromkeys((own, (*own, own[-1]), wide)))


def few_columns_matter(net: Net, rows: Rows) -> bool:
    """Whether trees find that few of many columns matter.

    Of a table of numbers, for the default network: columns that a pipeline makes in each fold are
    not known before.
    """
    is_default = net.is_vicinal and not net.prefix and net.estimator.module is None
    if not is_default or len(rows.y) < LEAST_WEIGHTED:
        return False
    y = _for_trees(rows)
    counts = np.arange(len(y)) if rows.weight is None else np.flatnonzero(rows.weight > 0)
    shape = np.shape(rows_at(rows.X, counts[:1]))
    if len(shape) != 2:
        return False
    looked_at = counts[rows_looked_at(y[counts], shape[1])]
    try:
        X = np.asarray(rows_at(rows.X, looked_at), dtype=np.float32)
    except (TypeError, ValueError):  # the estimator's `fit` says what X lacks
        return False
    if not np.isfinite(X).all():
        return False
    return is_concentrated(column_importance(X, y[looked_at]))


def _for_trees(rows: Rows) -> NDArray[Any]:
    """Codes of classes, or numbers in units in which several of them count alike."""
    if isinstance(rows, LabeledRows):
        return rows.codes
    if rows.of_classes:
        return rows.y.astype(np.float32)
    columns = rows.y.reshape(len(rows.y), -1)
    return Standardization.of(columns, rows.weight).forth(columns)


def space_of(
    param_distributions: Any,
    net: Net,
    n_dimensions: int,
    n_rows: int = USUAL_ROWS,
    *,
    few_matter: bool = False,
) -> dict[str, Any]:
    """The space of the design, whose names were looked up in the estimator."""
    if isinstance(net.estimator, InterpolationConsistencyClassifier):
        raise TypeError(
            "estimator=InterpolationConsistencyClassifier learns from rows without a label, which "
            "cross-validation would take for a class: search it with UniformDesignSearchCV and "
            "cv=LabeledStratifiedKFold()"
        )
    if isinstance(param_distributions, str):
        return automatic_space(net, n_dimensions, n_rows, few_matter=few_matter)
    unknown = [name for name in param_distributions if not net.takes(name)]
    if unknown:
        valid = sorted(net.whole.get_params(deep=True))
        raise ValueError(
            f"param_distributions names {unknown}, which {type(net.whole).__name__} does not "
            f"have: its parameters are {', '.join(valid)}"
            + (f"; and {net.prefix}module__… of its module" if net.is_vicinal else "")
        )
    return dict(param_distributions)


def own_setting(net: Net, names: Iterable[str]) -> Setting:
    """The estimator's present values; without those that are not known."""
    values = {name: net.value(name) for name in names}
    epochs = f"{net.prefix}max_epochs"
    if values.get(epochs) == "auto":  # finding them would cost each fit another one
        values[epochs] = USUAL_EPOCHS
    return {name: value for name, value in values.items() if value is not Parameter.empty}


def length(setting: Setting) -> float:
    """How long a fit takes compared with those of other settings: its epochs, if it has any."""
    epochs = [v for name, v in setting.items() if name.split("__")[-1] == "max_epochs"]
    return float(epochs[0]) if epochs and isinstance(epochs[0], Real) else 1.0
