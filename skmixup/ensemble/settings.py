"""Which settings are tried: the estimator's own, and the rows of a uniform design.

``"auto"`` is a space around the estimator's own values, for what matters to a network trained with
mixup and is right for no two data sets: the strength of mixing (none included), where it mixes,
dropout, learning rate, weight decay, epochs and capacity; for numeric targets also the partners.
"""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.stats import loguniform, uniform
from sklearn.base import is_regressor

from skmixup.design.factors import as_factors
from skmixup.ensemble.net import Net
from skmixup.estimators import InterpolationConsistencyClassifier
from skmixup.tuning.candidates import first_points, settings_at
from skmixup.tuning.distinct import n_different
from skmixup.tuning.initial import place_of_setting
from skmixup.tuning.plans import check_runs, varying

Setting = dict[str, Any]

#: What ``n_runs="auto"`` stands for, where there are not nearly as many parameters.
USUAL_RUNS = 10

ALPHAS = [0.0, 0.1, 0.2, 0.4, 1.0]
N_EPOCHS = 6
WIDEST = 256


def automatic_space(net: Net, n_dimensions: int) -> dict[str, Any]:
    """The space that ``param_distributions="auto"`` stands for, as a user would write it.

    Parameters
    ----------
    net : Net
    n_dimensions : int
        Of X: the default network for tables has more settings than others.
    """
    if not net.is_vicinal:
        raise ValueError(
            "param_distributions='auto' is made for the estimators of skmixup, alone or at the "
            f"end of a pipeline; for {type(net.estimator).__name__} give a dict of parameter name "
            "→ list or scipy distribution"
        )
    own = net.estimator
    is_table = own.module is None and n_dimensions <= 2
    has_dropout = net.takes(f"{net.prefix}module__dropout")
    space = {
        "alpha": ALPHAS if "alpha" in own.get_params() else None,
        "layers": ["auto", "input"] if getattr(own, "layers", None) == "auto" else None,
        **_pairing(own),
        "lr": loguniform(own.lr / 3, own.lr * 3) if isinstance(own.lr, Real) else None,
        "optimizer__weight_decay": _weight_decays(net),
        "max_epochs": _epochs(own.max_epochs, *((0.75, 2.5) if is_table else (0.5, 1.5))),
        "module__dropout": uniform(0.0, 0.35) if is_table and has_dropout else None,
        "module__hidden_sizes": _sizes(net) if is_table else None,
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


def _weight_decays(net: Net) -> Any:
    """Up to ten times less and more than now, for optimizers that have weight decay."""
    own = net.value(f"{net.prefix}optimizer__weight_decay")
    if not isinstance(own, Real):
        return None
    middle = float(own) or 1e-4
    return loguniform(middle / 10, middle * 10)


def _epochs(own: Any, least: float, most: float) -> list[int] | None:
    """Numbers of epochs of even ratios, with the own one."""
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


def space_of(param_distributions: Any, net: Net, n_dimensions: int) -> dict[str, Any]:
    """The space of the design, whose names were looked up in the estimator."""
    if isinstance(net.estimator, InterpolationConsistencyClassifier):
        raise TypeError(
            "estimator=InterpolationConsistencyClassifier learns from rows without a label, which "
            "cross-validation would take for a class: search it with UniformDesignSearchCV and "
            "cv=LabeledStratifiedKFold()"
        )
    if isinstance(param_distributions, str):
        return automatic_space(net, n_dimensions)
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
    return {name: value for name, value in values.items() if value is not Parameter.empty}


def design_settings(
    space: Mapping[str, Any], own: Setting, n_runs: Any, seed: int
) -> list[Setting]:
    """The estimator's own setting, and the rows of a uniform design that complete it.

    Parameters
    ----------
    space : mapping of str → list or distribution
    own : dict
    n_runs : int or "auto"
        How many settings, the own one included.
    seed : int
        Of the design.
    """
    if not space:
        return [own]
    factors = as_factors(space, "param_distributions")
    vary = varying(factors)
    automatic = isinstance(n_runs, str)
    if automatic:
        n_runs = max(USUAL_RUNS, len(vary) + 2)
    elif vary:
        check_runs(n_runs, len(vary))
    inside = len(own) == len(factors) and place_of_setting(own, factors) is not None
    point = place_of_setting(own, vary) if inside else None
    initial = np.array([] if point is None else [point]).reshape(int(inside), len(vary))
    most = n_different(factors.values()) + (not inside)
    if most < n_runs and not automatic:
        warnings.warn(
            f"n_runs={n_runs} is more than the {int(most)} different settings of "
            "param_distributions: each of them is tried once",
            UserWarning,
            stacklevel=2,
        )
    n_new = int(min(n_runs, most if math.isfinite(most) else n_runs)) - 1
    new = first_points(vary, n_new, initial, "CD", seed)
    return [own, *settings_at(factors, vary, new)]


def length(setting: Setting) -> float:
    """How long a fit takes compared with those of other settings: its epochs, if it has any."""
    epochs = [v for name, v in setting.items() if name.split("__")[-1] == "max_epochs"]
    return float(epochs[0]) if epochs and isinstance(epochs[0], Real) else 1.0
