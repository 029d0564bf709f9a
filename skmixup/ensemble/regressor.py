"""The regressor with built-in cross-validation: it tunes itself and weighs its networks."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sklearn.base import RegressorMixin, is_classifier
from sklearn.utils import get_tags

from skmixup.ensemble.cv import TunedNetworks, checked_rows
from skmixup.ensemble.folds import Fold
from skmixup.ensemble.judging import Floats
from skmixup.ensemble.prediction import WeightedRegressors
from skmixup.ensemble.race import Race
from skmixup.ensemble.rows import NumericRows
from skmixup.ensemble.settings import TABLE_NETWORK
from skmixup.ensemble.target_judging import TargetJudge, target_scorer
from skmixup.estimators import ManifoldMixupRegressor
from skmixup.estimators.targets import check_targets


class MixupRegressorCV(RegressorMixin, WeightedRegressors, TunedNetworks):
    """Mixup regressor with built-in cross-validation and ensemble.

    On the first fold it runs a uniform design over the settings that matter, the estimator's own
    ones first, and then a few settings near the best; the better ones go on to the other folds.
    Predictions are a weighted mean of those of the fold networks, weights from greedy selection on
    out-of-fold predictions. One target or several.

    Parameters
    ----------
    estimator : estimator object, default=None
        A regressor, such as one of skmixup's, or a pipeline that ends with one. None is
        :class:`skmixup.ManifoldMixupRegressor`, for a table with two blocks of 256 units, one
        member (the folds' networks are an ensemble already), ``module__embedding="periodic"``,
        ``mix_per="sample"``, ``lr=0.002`` and 48 epochs.
    param_distributions : "auto" or dict of str → list or distribution, default="auto"
        The space of the design, as in :class:`skmixup.tuning.UniformDesignSearchCV`. "auto" lies
        around the estimator's own values: α from 0 (no mixing) to 1, layers to mix at, whether
        partners have similar targets and how similar, learning rate, weight decay and epochs, and
        for the default network of a table its dropout, hidden sizes and embedding; where trees
        find that few of its columns matter (300 rows at least, no pipeline that makes them in each
        fold, and `n_runs` has room for it), also ``module__column_weights``. A table of more than
        2000 rows is also tried with fewer epochs, as each has more steps. An empty dict tries the
        estimator's own setting only.
    n_runs : int or "auto", default="auto"
        Settings that are tried, the own one included; more than there are parameters. "auto": 20,
        or two more than there are parameters. Three fifths of them are the design; the others lie
        near the best so far, in rounds of four. Half of them go on to the second fold, six at
        most, and of those near the best a third of these at most, since they were chosen on one
        fold. The best three of two folds, and those that would have a weight, go on to all.
    cv : int, splitter or iterable, default=5
        As in scikit-learn's searches. An int means folds of rows that follow each other: where
        rows are sorted, ``KFold(5, shuffle=True, random_state=0)``.
    scoring : str, callable or None, default="r2"
        What settings and ensembles are judged by, and what `score` returns. R² is squared error
        in variances of the targets that were held out, so that targets in different units count
        alike; with "neg_mean_squared_error" those in small units hardly count. None is R². A
        callable ``scorer(estimator, X, y)`` is given an object that can predict just these rows.
    ensemble : bool, default=True
        Whether settings are weighed; False takes the best one.
    refit : bool, default=False
        Train one network of the best setting on all rows and predict with it alone: cheap to
        serve, a little worse than an ensemble.
    time_limit : float or None, default=None
        Seconds for the whole `fit`, the refit included. Fits that are not likely to be through in
        time are not begun; one setting is always completed.
    n_jobs : int or None, default=None
        Fits at a time, with any joblib backend.
    random_state : int, RandomState instance or None, default=None
        Makes the design, and seeds every ``random_state`` of `estimator` that is None. With the
        same int the result is the same for every `n_jobs`, on one machine with as many threads
        for each fit, and without a `time_limit`.
    verbose : int, default=0
        1 prints a line for each setting.
    store_oof : bool, default=False
        Keep `oof_prediction_`. Nothing else that is kept grows with the number of rows.

    Attributes
    ----------
    best_params_ : dict
        The setting with the best mean score over all folds.
    best_score_ : float
    best_index_ : int
        Its row in `cv_results_`.
    cv_results_ : dict of ndarray
        As in scikit-learn's searches, with the number of folds that each setting was fitted in in
        ``n_splits``; other folds' scores are NaN. The mean of a setting that left the race after
        one fold or two is that of its scores there and what the complete ones gained on average
        from these to all. Complete ones rank first.
    param_distributions_ : dict
        The space of the design, also where it was "auto".
    weights_ : ndarray of shape (n_settings,)
        Of the settings in `cv_results_`; their sum is 1.
    estimators_ : list of estimators
        The networks of all folds of the settings with a weight, setting by setting; with
        ``refit=True`` the one trained on all rows.
    oof_prediction_ : ndarray of shape (n,) or (n, n_targets)
        Predictions for the training rows by networks that were not trained on them, weighted; NaN
        for rows that `cv` never holds out. Only with `store_oof`.
    n_completed_ : int
        Settings fitted in all folds.
    n_splits_ : int
        Folds.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Raises
    ------
    TypeError, ValueError
        Before the first fit, for parameters and targets that cannot work: a target that is
        constant, a name in `param_distributions` that the estimator does not have, a scorer that
        needs what is not there. The message names it and what is valid.

    See Also
    --------
    MixupClassifierCV : Its sibling for classes.
    skmixup.tuning.UniformDesignSearchCV : Any estimator; the design alone, in several rounds.
    skmixup.effects.design_effects : Which parameter mattered; reads a fitted `MixupRegressorCV`.

    Notes
    -----
    Ctrl-C leaves it fitted with the settings that are complete, if there is one, and goes on to
    whoever called. A setting that cannot be trained, or that `scoring` fails on or gives no finite
    number for, is left out with a ``FitFailedWarning``, its scores NaN; where none is left, the
    first error is raised.

    `sample_weight` counts in training, in scores of scorers that take it and so in the choice of
    weights; with metadata routing not where the estimator or the scorer asked for
    other weights by a name of their own, or was told ``sample_weight=False``.

    References
    ----------
    R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes (2004), "Ensemble selection from libraries
    of models", ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmixup import ManifoldMixupRegressor, MixupRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = ManifoldMixupRegressor(max_epochs=10)
    >>> space = {"alpha": [0.0, 0.2, 1.0]}
    >>> reg = MixupRegressorCV(net, param_distributions=space, n_runs=3, cv=3, random_state=0)
    >>> reg.fit(X, y).predict(X[:2]).shape
    (2,)
    >>> reg.n_completed_, len(reg.cv_results_["params"]), bool(reg.best_score_ > 0.3)
    (2, 3, True)
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        param_distributions: Any = "auto",
        n_runs: int | str = "auto",
        cv: Any = 5,
        scoring: Any = "r2",
        ensemble: bool = True,
        refit: bool = False,
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        store_oof: bool = False,
    ):
        super().__init__(
            estimator,
            param_distributions=param_distributions,
            n_runs=n_runs,
            cv=cv,
            scoring=scoring,
            ensemble=ensemble,
            refit=refit,
            time_limit=time_limit,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
            store_oof=store_oof,
        )

    # SiLU, which classes gain from, costs where numbers follow from the columns: ReLU stays.
    _table_network: ClassVar[dict[str, Any]] = {
        name: value for name, value in TABLE_NETWORK.items() if name != "module__activation"
    }

    def _default_estimator(self, **params: Any) -> ManifoldMixupRegressor:
        return ManifoldMixupRegressor(**params)

    def _check_estimator(self, estimator: Any) -> None:
        if is_classifier(estimator):
            raise TypeError(
                f"estimator={estimator!r} is a classifier: pass a regressor, or use "
                "MixupClassifierCV"
            )
        if not hasattr(estimator, "predict"):
            raise TypeError(
                f"estimator={estimator!r} has no predict: an ensemble is a mean of predictions"
            )

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> NumericRows:
        y = check_targets(y)
        X, weight = checked_rows(X, y, sample_weight)
        return NumericRows(X, y, weight)

    def _judge(
        self, rows: NumericRows, folds: Sequence[Fold], params: Mapping[str, Any]
    ) -> TargetJudge:
        return TargetJudge(self.scoring, rows, folds, params)

    def _scorer(self) -> Any:
        return target_scorer(self.scoring)

    def _keep_mean(self, race: Race, mean: Floats, n_chosen: int) -> str:
        self._target_axes = race.judge.rows.y.shape[1:]
        self.__dict__.pop("oof_prediction_", None)
        if self.store_oof:
            self.oof_prediction_ = race.judge.by_rows(mean)
        return ""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The score `scoring` of predictions.

        Parameters
        ----------
        X : array-like of shape (n, …)
        y : array-like of shape (n,) or (n, n_targets)
        sample_weight : array-like of shape (n,), default=None
            Weight of each row, where the scorer takes it.

        Returns
        -------
        float
        """
        return self._score(X, check_targets(self._in_known_order(y)), sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        several = get_tags(self._estimator()).target_tags.multi_output
        tags.target_tags.multi_output = several
        return tags
