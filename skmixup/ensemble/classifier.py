"""The classifier with built-in cross-validation: it tunes, weighs and calibrates itself."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin

from skmixup.ensemble.class_judging import ClassJudge, class_scorer, temperature_of
from skmixup.ensemble.cv import TunedNetworks, checked_rows
from skmixup.ensemble.folds import Fold
from skmixup.ensemble.judging import Floats
from skmixup.ensemble.label_judging import LabelJudge, label_scorer
from skmixup.ensemble.net import Net
from skmixup.ensemble.prediction import WeightedClassifiers
from skmixup.ensemble.race import Race
from skmixup.ensemble.rows import IndicatorRows, LabeledRows
from skmixup.estimators import ManifoldMixupClassifier
from skmixup.estimators.inputs import check_labels
from skmixup.estimators.several_labels import densified, read_indicators, warn_of_one_hot
from skmixup.labels import label_column, of_one_type


class MixupClassifierCV(ClassifierMixin, WeightedClassifiers, TunedNetworks):
    """Mixup classifier with built-in cross-validation, ensemble and calibration.

    On the first fold it runs a uniform design over the settings that matter, the estimator's own
    ones first, and then a few settings near the best; the better ones go on to the other folds.
    Each is judged by its score *after* a temperature, since networks trained with mixup are too
    modest. Predictions are a weighted mean of the fold networks' probabilities, weights from
    greedy selection on out-of-fold predictions, with a temperature for each setting and one for
    the mean.

    Parameters
    ----------
    estimator : estimator object, default=None
        A classifier with ``predict_proba``, such as one of skmixup's, or a pipeline that ends
        with one. None is :class:`skmixup.ManifoldMixupClassifier`, for a table with two blocks of
        256 SiLU units, one member (the folds' networks are an ensemble already),
        ``module__embedding="periodic"``, ``mix_per="sample"``, ``lr=0.002`` and 48 epochs.
    param_distributions : "auto" or dict of str → list or distribution, default="auto"
        The space of the design, as in :class:`skmixup.tuning.UniformDesignSearchCV`. "auto" lies
        around the estimator's own values: α from 0 (no mixing) to 1, layers to mix at, learning
        rate, weight decay and epochs, and for the default network of a table its dropout, hidden
        sizes and embedding; where trees find that few of its columns matter (300 rows at least,
        no pipeline that makes them in each fold, and `n_runs` has room for it), also
        ``module__column_weights``. A table of more than 2000 rows is also tried with fewer epochs,
        as each has more steps. An empty dict tries the estimator's own setting only.
    n_runs : int or "auto", default="auto"
        Settings that are tried, the own one included; more than there are parameters. "auto": 20,
        or two more than there are parameters. Three fifths of them are the design; the others lie
        near the best so far, in rounds of four. Half of them go on to the second fold, six at
        most, and of those near the best a third of these at most, since they were chosen on one
        fold. The best three of two folds, and those that would have a weight, go on to all.
    cv : int, splitter or iterable, default=5
        As in scikit-learn's searches. An int means stratified folds without shuffling.
    scoring : str, callable or None, default="neg_log_loss"
        What settings and ensembles are judged by, and what `score` returns; None is accuracy. A
        callable ``scorer(estimator, X, y)`` is given an object that can predict just these rows.
    ensemble : bool, default=True
        Whether settings are weighed; False takes the best one.
    calibrate : bool, default=True
        Whether there are temperatures: of each setting before it is judged, and of predictions.
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
        Keep `oof_proba_`. Nothing else that is kept grows with the number of rows.

    Attributes
    ----------
    best_params_ : dict
        The setting with the best mean score over all folds.
    best_score_ : float
    best_index_ : int
        Its row in `cv_results_`.
    cv_results_ : dict of ndarray
        As in scikit-learn's searches, with the temperature of each setting in ``temperature`` and
        the number of folds it was fitted in in ``n_splits``; other folds' scores are NaN. The
        mean of a setting that left the race after one fold or two is that of its scores there and
        what the complete ones gained on average from these to all. Complete ones rank first.
    param_distributions_ : dict
        The space of the design, also where it was "auto".
    weights_ : ndarray of shape (n_settings,)
        Of the settings in `cv_results_`; their sum is 1.
    temperature_ : float
        Probabilities p become p^(1/T), divided by their sum: those of each network with the
        temperature of its setting in `cv_results_`, and their weighted mean with this one, as a
        mean is more modest than what it is of. 1 where one setting has all the weight.
    estimators_ : list of estimators
        The networks of all folds of the settings with a weight, setting by setting; with
        ``refit=True`` the one trained on all rows.
    oof_proba_ : ndarray of shape (n, n_classes)
        Predictions for the training rows by networks that were not trained on them, weighted and
        with the temperature; NaN for rows that `cv` never holds out. Only with `store_oof`.
    n_completed_ : int
        Settings fitted in all folds.
    n_splits_ : int
        Folds.
    classes_ : ndarray of shape (n_classes,)
    multilabel_ : bool
        Whether y was several labels per row, a matrix of zeros and ones. A temperature divides the
        logits of all of them then, and "neg_log_loss" is the binary one, the mean over labels.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Raises
    ------
    TypeError, ValueError
        Before the first fit, for parameters and labels that cannot work: a class with fewer rows
        than folds, a name in `param_distributions` that the estimator does not have, a scorer that
        needs what is not there. The message names it and what is valid.

    See Also
    --------
    MixupRegressorCV : Its sibling for numbers.
    skmixup.tuning.UniformDesignSearchCV : Any estimator; the design alone, in several rounds.
    skmixup.effects.design_effects : Which parameter mattered; reads a fitted `MixupClassifierCV`.

    Notes
    -----
    Ctrl-C leaves it fitted with the settings that are complete, if there is one, and goes on to
    whoever called. A setting that cannot be trained, or that `scoring` fails on or gives no finite
    number for, is left out with a ``FitFailedWarning``, its scores NaN; where none is left, the
    first error is raised.

    `sample_weight` counts in training, in scores of scorers that take it, in temperatures and in
    the choice of weights; with metadata routing not where the estimator or the scorer asked for
    other weights by a name of their own, or was told ``sample_weight=False``.

    References
    ----------
    R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes (2004), "Ensemble selection from libraries
    of models", ICML. C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), "On calibration of modern
    neural networks", ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmixup import ManifoldMixupClassifier, MixupClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> net = ManifoldMixupClassifier(max_epochs=10)
    >>> space = {"alpha": [0.0, 0.2, 1.0]}
    >>> clf = MixupClassifierCV(net, param_distributions=space, n_runs=3, cv=3, random_state=0)
    >>> clf.fit(X, y).predict_proba(X[:2]).shape
    (2, 3)
    >>> clf.n_completed_, len(clf.cv_results_["params"]), bool(clf.score(X, y) > -0.2)
    (2, 3, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **TunedNetworks._parameter_constraints,
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        param_distributions: Any = "auto",
        n_runs: int | str = "auto",
        cv: Any = 5,
        scoring: Any = "neg_log_loss",
        ensemble: bool = True,
        calibrate: bool = True,
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
        self.calibrate = calibrate

    def _default_estimator(self, **params: Any) -> ManifoldMixupClassifier:
        return ManifoldMixupClassifier(**params)

    def _check_estimator(self, estimator: Any) -> None:
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"estimator={estimator!r} has no predict_proba: an ensemble is a mean of "
                "probabilities"
            )

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> LabeledRows | IndicatorRows:
        y, sparse = densified(y)
        indicators = read_indicators(y)
        if indicators is not None:
            self._check_no_classes()
            warn_of_one_hot(indicators, may_name_classes=False)
            X, weight = checked_rows(X, indicators, sample_weight)
            y = indicators.astype(np.int64)
            return IndicatorRows(X, y, weight, np.arange(y.shape[1]), sparse)
        y = check_labels(y)
        X, weight = checked_rows(X, y, sample_weight)
        classes, codes = np.unique(y, return_inverse=True)
        return LabeledRows(X, y, weight, codes, classes)

    def _check_no_classes(self) -> None:
        """Raise ValueError where the network would take zeros and ones for soft labels."""
        net = Net(self._estimator())
        classes = net.estimator.classes if net.is_vicinal else None
        if classes is not None:
            raise ValueError(
                "y is a matrix of zeros and ones, several labels per row, but the estimator has "
                f"classes={list(classes)[:10]}, of which a row has one: leave `classes` out, or "
                "pass one label per row, np.asarray(classes)[np.argmax(y, axis=1)]"
            )

    def _judge(self, rows: Any, folds: Sequence[Fold], params: Mapping[str, Any]) -> ClassJudge:
        kind = LabelJudge if isinstance(rows, IndicatorRows) else ClassJudge
        return kind(self.scoring, self.calibrate, rows, folds, params)

    def _scorer(self) -> Any:
        if self.multilabel_:
            return label_scorer(self.scoring)
        return class_scorer(self.scoring, getattr(self, "classes_", None))

    def _keep_mean(self, race: Race, mean: Floats, n_chosen: int) -> str:
        judge = race.judge
        assert isinstance(judge, ClassJudge)
        self.classes_ = judge.rows.classes
        self.multilabel_ = isinstance(judge, LabelJudge)
        self._sparse_kind = judge.rows.sparse if self.multilabel_ else None
        temperatures = [temperature_of(race.judgements.get(s)) for s in race.tried()]
        self.cv_results_["temperature"] = np.array(temperatures)
        # One setting alone has its temperature already.
        self.temperature_ = judge.temperature(mean) if n_chosen > 1 else 1.0
        self.__dict__.pop("oof_proba_", None)
        if self.store_oof:
            self.oof_proba_ = judge.by_rows(self._tempered(mean, self.temperature_))
        return f"; temperature of their mean {self.temperature_:.3g}"

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The score `scoring` of predictions.

        Parameters
        ----------
        X : array-like of shape (n, …)
        y : array-like of shape (n,), or (n, n_labels)
        sample_weight : array-like of shape (n,), default=None
            Weight of each row, where the scorer takes it.

        Returns
        -------
        float
        """
        y = self._in_known_order(y)
        y = densified(y)[0] if self.multilabel_ else of_one_type(label_column(y))
        return self._score(X, y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
