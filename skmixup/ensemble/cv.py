"""The classifier with built-in cross-validation: it tunes, weighs and calibrates itself."""

import time
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skmixup.ensemble.clock import Clock
from skmixup.ensemble.fitting import (
    fit_on,
    fit_params_of,
    forget_moments,
    own_generator,
    seeded_clone,
)
from skmixup.ensemble.folds import Rows, make_folds
from skmixup.ensemble.judging import Judge, scorer_of
from skmixup.ensemble.net import Net
from skmixup.ensemble.prediction import WeightedNetworks
from skmixup.ensemble.race import Race, Training
from skmixup.ensemble.results import cv_results
from skmixup.ensemble.routing import routed_fit_params, router
from skmixup.ensemble.selection import greedy_weights
from skmixup.ensemble.settings import design_settings, own_setting, space_of
from skmixup.ensemble.temperature import with_temperature
from skmixup.estimators import ManifoldMixupClassifier
from skmixup.estimators.inputs import as_array, check_labels
from skmixup.labels import label_column


class MixupClassifierCV(WeightedNetworks):
    """Mixup classifier with built-in cross-validation, ensemble and calibration.

    It runs a uniform design over the settings that matter, the estimator's own ones first: all of
    them on the first fold, the better half on the others. Each is judged by its score *after* a
    temperature, since networks trained with mixup are too modest. Predictions are a weighted mean
    of the fold networks' probabilities, weights from greedy selection on out-of-fold predictions,
    with a temperature for each setting and one for the mean.

    Parameters
    ----------
    estimator : estimator object, default=None
        A classifier with ``predict_proba``, such as one of skmixup's, or a pipeline that ends
        with one. None is :class:`skmixup.ManifoldMixupClassifier`.
    param_distributions : "auto" or dict of str → list or distribution, default="auto"
        The space of the design, as in :class:`skmixup.tuning.UniformDesignSearchCV`. "auto" lies
        around the estimator's own values: α from 0 (no mixing) to 1, layers to mix at, learning
        rate, weight decay and epochs, and for the default network of a table its dropout and
        hidden sizes. An empty dict tries the estimator's own setting only.
    n_runs : int or "auto", default="auto"
        Settings that are tried, the own one included; more than there are parameters. "auto": 10,
        or two more than there are parameters.
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
        mean of a setting that left the race after the first fold is its score there and what the
        complete ones gained on average from the first fold to all. Complete ones rank first.
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
    skmixup.tuning.UniformDesignSearchCV : Any estimator; the design alone, in several rounds.
    skmixup.effects.design_effects : Which parameter mattered; reads a fitted `MixupClassifierCV`.

    Notes
    -----
    Ctrl-C leaves it fitted with the settings that are complete, if there is one, and goes on to
    whoever called. A setting whose training fails is left out with a warning.

    `sample_weight` counts in training, in scores of scorers that take it, in temperatures and in
    the choice of weights.

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
        "estimator": [None, HasMethods(["fit", "get_params", "set_params"])],
        "param_distributions": [StrOptions({"auto"}), dict],
        "n_runs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "scoring": [None, StrOptions(set(get_scorer_names())), callable],
        "ensemble": ["boolean"],
        "calibrate": ["boolean"],
        "refit": ["boolean"],
        "time_limit": [None, Interval(Real, 0, None, closed="right")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "store_oof": ["boolean"],
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
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_runs = n_runs
        self.cv = cv
        self.scoring = scoring
        self.ensemble = ensemble
        self.calibrate = calibrate
        self.refit = refit
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.store_oof = store_oof

    # ---- fit

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Try settings in folds, weigh their networks, and fit the temperature.

        Parameters
        ----------
        X : array-like, DataFrame or Tensor of shape (n, …)
            Whatever the estimator takes.
        y : array-like of shape (n,)
            Class labels.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row.
        **params
            ``groups`` for the splitter, more arguments for the estimator's ``fit``; with
            scikit-learn's metadata routing, for whoever has requested them.

        Returns
        -------
        self
        """
        start = time.monotonic()
        self._validate_params()
        estimator = self._estimator()
        X, rows = self._check_rows(X, y, sample_weight)
        routed = routed_fit_params(self, params)
        rng = own_generator(self.random_state)
        space, settings = self._settings(Net(estimator), X, rng)
        folds = make_folds(self.cv, rows, routed.splitter.split)
        scorer = scorer_of(self.scoring, rows.classes)
        judge = Judge(self.scoring, scorer, self.calibrate, rows, folds, routed.scorer.score)
        judge.check()
        fit_params = fit_params_of(estimator, rows.weight, routed.estimator.fit)
        training = Training(estimator, rows, fit_params, self.n_jobs)
        seeds = rng.randint(2**31 - 1, size=(len(settings), len(folds) + 1))
        clock = Clock(self.time_limit, len(folds), self.refit, start)
        race = Race(training, settings, folds, seeds, judge, clock, self._say)
        race.run()
        if race.complete():
            self._keep(race)
            self.param_distributions_ = space
            validate_data(self, X, skip_check_array=True)  # sets n_features_in_ and names
        if race.interrupt is not None:
            raise race.interrupt
        if self.refit:
            best = race.best()
            new = seeded_clone(estimator, settings[best], int(seeds[best, -1]))
            fit_on(new, rows, np.arange(len(rows.y)), fit_params)
            forget_moments(new)
            self.estimators_ = [new]
            self._say(f"refit on all rows, after {clock.elapsed():.1f} s")
        return self

    def _estimator(self) -> Any:
        """The estimator, for None the default one, which leaves groups to the splitter."""
        if self.estimator is not None:
            return self.estimator
        default = ManifoldMixupClassifier()
        if get_config()["enable_metadata_routing"]:
            default.set_fit_request(groups=False)
        return default

    def _check_rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Rows]:
        """X as it is handed to the estimators, who check its values, and all rows."""
        estimator = self._estimator()
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"estimator={estimator!r} has no predict_proba: an ensemble is a mean of "
                "probabilities"
            )
        if isinstance(X, dict) and not hasattr(X, "shape"):
            raise TypeError(
                "X is a dict, whose rows cannot be split into folds: pass "
                "skorch.helper.SliceDict(**X)"
            )
        y = check_labels(y)
        (X,) = indexable(as_array(X))
        check_consistent_length(X, y)
        classes, codes = np.unique(y, return_inverse=True)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, y)
            if (weight < 0).any():
                raise ValueError("sample_weight has negative values: each must be at least 0")
            if not weight.any():  # scikit-learn's own words, which it has not always
                raise ValueError("Sample weights must contain at least one non-zero number.")
        return X, Rows(X, y, codes, classes, weight)

    def _settings(
        self, net: Net, X: Any, rng: np.random.RandomState
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The space, and the estimator's own setting and those of the design.

        The design is always the same where ``random_state`` is None.
        """
        n_dimensions = len(np.shape(X)) if hasattr(X, "shape") else 2
        space = space_of(self.param_distributions, net, n_dimensions)
        seed = 0 if self.random_state is None else int(rng.randint(2**31 - 1))
        return space, design_settings(space, own_setting(net, space), self.n_runs, seed)

    def _keep(self, race: Race) -> None:
        """Keep what a race found: the settings, their weights, and the networks with a weight."""
        complete, tried, best = race.complete(), race.tried(), race.best()
        members = [race.stacked(setting) for setting in complete]
        if self.ensemble and not self.refit:
            weights = greedy_weights(members, race.judge.preference())
        else:
            weights = np.array([float(setting == best) for setting in complete])
        chosen = {s: w for s, w in zip(complete, weights, strict=True) if w > 0}
        self.classes_ = race.judge.rows.classes
        self.cv_results_ = cv_results(race)
        self.n_completed_, self.n_splits_ = len(complete), len(race.folds)
        self.best_index_ = tried.index(best)
        self.best_params_ = race.settings[best]
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.weights_ = np.array([chosen.get(setting, 0.0) for setting in tried])
        self.estimators_ = [network for s in chosen for network in race.networks(s)]
        mean = sum(w * proba for w, proba in zip(weights, members, strict=True))
        # One setting alone has its temperature already.
        self.temperature_ = race.judge.temperature(mean) if len(chosen) > 1 else 1.0
        self.__dict__.pop("oof_proba_", None)
        if self.store_oof:
            self.oof_proba_ = race.judge.by_rows(with_temperature(mean, self.temperature_))
        shares = ", ".join(f"{w:.2f} of setting {s + 1}" for s, w in chosen.items())
        self._say(f"weights: {shares}; temperature of their mean {self.temperature_:.3g}")

    def _say(self, what: str) -> None:
        if self.verbose:
            print(f"[{type(self).__name__}] {what}", flush=True)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The score `scoring` of predictions.

        Parameters
        ----------
        X : array-like of shape (n, …)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), default=None
            Weight of each row, where the scorer takes it.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        scorer = scorer_of(self.scoring, self.classes_)
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(self, X, label_column(y), **weight))

    # ---- scikit-learn's ways

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._estimator()).input_tags
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Say who gets which metadata: see scikit-learn's user guide on metadata routing.

        Returns
        -------
        MetadataRouter
        """
        scorer = get_scorer("accuracy" if self.scoring is None else self.scoring)
        return router(self, self._estimator(), check_cv(self.cv, classifier=True), scorer)
