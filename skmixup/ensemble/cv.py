"""Cross-validation inside an estimator: settings tried in folds, their networks weighed."""

import time
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from skmixup.constraints import HasMethods, Interval, StrOptions
from skmixup.ensemble.clock import Clock
from skmixup.ensemble.fitting import (
    fit_on,
    fit_params_of,
    forget_moments,
    own_generator,
    seeded_clone,
)
from skmixup.ensemble.folds import Fold, make_folds
from skmixup.ensemble.groups import with_groups
from skmixup.ensemble.judging import Floats, Judge
from skmixup.ensemble.net import Net
from skmixup.ensemble.prediction import WeightedNetworks
from skmixup.ensemble.proposals import Proposals
from skmixup.ensemble.race import Race, Training
from skmixup.ensemble.results import cv_results
from skmixup.ensemble.routing import routed_fit_params, router
from skmixup.ensemble.rows import Rows
from skmixup.ensemble.selection import greedy_weights
from skmixup.ensemble.settings import (
    TABLE_NETWORK,
    few_columns_matter,
    own_setting,
    space_of,
)
from skmixup.ensemble.sklearn_internals import takes_weights
from skmixup.estimators.columns import refuse_unread_table
from skmixup.estimators.datasets import refuse_dataset, refuse_loader
from skmixup.estimators.inputs import as_array
from skmixup.estimators.weights import check_weights
from skmixup.labels import column_names, in_known_order


class TunedNetworks(WeightedNetworks, metaclass=ABCMeta):
    """What `MixupClassifierCV` and `MixupRegressorCV` have in common: all but the predictions."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [None, HasMethods(["fit", "get_params", "set_params"])],
        "param_distributions": [StrOptions({"auto"}), dict],
        "n_runs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "scoring": [None, StrOptions(set(get_scorer_names())), callable],
        "ensemble": ["boolean"],
        "refit": ["boolean"],
        "time_limit": [None, Interval(Real, 0, None, closed="right")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "store_oof": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        param_distributions: Any,
        n_runs: int | str,
        cv: Any,
        scoring: Any,
        ensemble: bool,
        refit: bool,
        time_limit: float | None,
        n_jobs: int | None,
        random_state: Any,
        verbose: int,
        store_oof: bool,
    ):
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_runs = n_runs
        self.cv = cv
        self.scoring = scoring
        self.ensemble = ensemble
        self.refit = refit
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.store_oof = store_oof

    # ---- what depends on the kind of predictions

    #: Parameters of the default estimator for a table.
    _table_network: ClassVar[dict[str, Any]] = TABLE_NETWORK

    @abstractmethod
    def _default_estimator(self, **params: Any) -> Any:
        """What ``estimator=None`` stands for, with these parameters."""

    @abstractmethod
    def _check_estimator(self, estimator: Any) -> None:
        """Raise TypeError for an estimator that does not predict what is to be averaged."""

    @abstractmethod
    def _rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """X, y and weights, checked."""

    @abstractmethod
    def _judge(self, rows: Any, folds: Sequence[Fold], params: Mapping[str, Any]) -> Judge[Any]:
        """What scores predictions for held-out rows."""

    @abstractmethod
    def _scorer(self) -> Any:
        """The scorer for `scoring`; before and after `fit`."""

    @abstractmethod
    def _keep_mean(self, race: Race, mean: Floats, n_chosen: int) -> str:
        """Keep what comes of the settings' weighted predictions, and say more about it."""

    # ---- fit

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Try settings in folds, and weigh their networks.

        Parameters
        ----------
        X : array-like, DataFrame or Tensor of shape (n, …)
            Whatever the estimator takes.
        y : array-like of shape (n,), or for a regressor also (n, n_targets)
            Class labels, or numbers.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row.
        **params
            ``groups`` for the splitter, and for networks that hold out rows of their own
            (``max_epochs="auto"``, ``train_split``); more arguments for the estimator's ``fit``;
            with scikit-learn's metadata routing, for whoever has requested them.

        Returns
        -------
        self
        """
        start = time.monotonic()
        self._validate_params()
        X = self._indexable(X)
        estimator = self._estimator(X)
        if isinstance(estimator, type):
            raise TypeError(f"estimator is a class: pass an instance, {estimator.__name__}()")
        self._check_estimator(estimator)
        rows = self._rows(X, y, sample_weight)
        validate_data(copy(self), rows.X, skip_check_array=True)  # names that it cannot keep
        routed = routed_fit_params(self, params)
        rng = own_generator(self.random_state)
        space, proposals = self._proposals(Net(estimator), rows, rng)
        folds = make_folds(self.cv, rows, routed.splitter.split)
        judge = self._judge(rows, folds, routed.scorer.score)
        judge.check()
        fit_params = fit_params_of(estimator, rows.weight, routed.estimator.fit)
        fit_params = with_groups(estimator, fit_params, params.get("groups"))
        training = Training(estimator, rows, fit_params, self.n_jobs)
        seeds = rng.randint(2**31 - 1, size=(proposals.n_runs, len(folds) + 1))
        clock = Clock(self.time_limit, len(folds), self.refit, start)
        race = Race(training, proposals, folds, seeds, judge, clock, self._say)
        race.run()
        if race.complete():
            self._keep(race)
            self.param_distributions_ = space
            self._target_names_ = column_names(y)
            validate_data(self, rows.X, skip_check_array=True)  # sets n_features_in_ and names
        if race.interrupt is not None:
            raise race.interrupt
        if self.refit:
            best = race.best()
            new = seeded_clone(estimator, race.settings[best], int(seeds[best, -1]))
            fit_on(new, rows, np.arange(len(rows.y)), fit_params)
            forget_moments(new)
            self.estimators_ = [new]
            self._say(f"refit on all rows, after {clock.elapsed():.1f} s")
        return self

    def _estimator(self, X: Any = None) -> Any:
        """The estimator, for None the default one for X, which takes groups if it needs them."""
        if self.estimator is not None:
            return self.estimator
        default = self._default_estimator(**(self._table_network if n_dimensions(X) == 2 else {}))
        if get_config()["enable_metadata_routing"]:
            default.set_fit_request(groups=True)
        return default

    def _indexable(self, X: Any) -> Any:
        """X as it is handed to the estimators, who check its values."""
        if isinstance(X, dict) and not hasattr(X, "shape"):
            raise TypeError(
                "X is a dict, whose rows cannot be split into folds: pass "
                "skorch.helper.SliceDict(**X)"
            )
        refuse_loader(X)
        refuse_dataset(X)
        return as_array(X)

    def _proposals(
        self, net: Net, rows: Rows, rng: np.random.RandomState
    ) -> tuple[dict[str, Any], Proposals]:
        """The space, and the settings that are tried.

        The design is always the same where ``random_state`` is None.
        """
        automatic = isinstance(self.param_distributions, str)
        of_X = n_dimensions(rows.X), len(rows.y)
        space = space_of(self.param_distributions, net, *of_X)
        has_room = isinstance(self.n_runs, str) or self.n_runs > len(space) + 1
        if automatic and has_room and few_columns_matter(net, rows):
            space = space_of("auto", net, *of_X, few_matter=True)
        seed = 0 if self.random_state is None else int(rng.randint(2**31 - 1))
        return space, Proposals(space, own_setting(net, space), self.n_runs, seed)

    def _keep(self, race: Race) -> None:
        """Keep what a race found: the settings, their weights, and the networks with a weight."""
        complete, tried, best = race.complete(), race.tried(), race.best()
        members = [race.stacked(setting) for setting in complete]
        weights = np.array([float(setting == best) for setting in complete])
        if self.ensemble and not self.refit:
            try:
                weights = greedy_weights(members, race.judge.preference())
            except KeyboardInterrupt as interrupt:  # a scorer may take long
                race.interrupt = interrupt
        chosen = {s: w for s, w in zip(complete, weights, strict=True) if w > 0}
        self.cv_results_ = cv_results(race)
        self.n_completed_, self.n_splits_ = len(complete), len(race.folds)
        self.best_index_ = tried.index(best)
        self.best_params_ = race.settings[best]
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.weights_ = np.array([chosen.get(setting, 0.0) for setting in tried])
        self.estimators_ = [network for s in chosen for network in race.networks(s)]
        mean = sum(w * member for w, member in zip(weights, members, strict=True))
        more = self._keep_mean(race, np.asarray(mean), len(chosen))
        shares = ", ".join(f"{w:.2f} of setting {s + 1}" for s, w in chosen.items())
        self._say(f"weights: {shares}{more}")

    def _say(self, what: str) -> None:
        if self.verbose:
            print(f"[{type(self).__name__}] {what}", flush=True)

    def _in_known_order(self, y: Any) -> Any:
        """Return a frame of targets with its columns in the order of those of ``fit``."""
        check_is_fitted(self)
        return in_known_order(y, self.__dict__.get("_target_names_", []))

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        """The score `scoring` of predictions."""
        scorer = self._scorer()
        weighs = sample_weight is not None and takes_weights(scorer)
        weight = {"sample_weight": sample_weight} if weighs else {}
        return float(scorer(self, X, y, **weight))

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
        has_folds = self.cv is None or isinstance(self.cv, Integral) or hasattr(self.cv, "split")
        # A list or an iterator of folds asks for nothing, and an iterator would be used up.
        splitter = check_cv(self.cv if has_folds else [], classifier=is_classifier(self))
        return router(self, self._estimator(), splitter, self._scorer())


def n_dimensions(X: Any) -> int:
    """How many axes X has: 2 for a table, in whatever form."""
    return len(X.shape) if hasattr(X, "shape") else 2


def checked_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """X whose rows can be picked, as many as y has, and the weights or None."""
    refuse_unread_table(X)
    (X,) = indexable(X)
    check_consistent_length(X, y)
    return X, None if sample_weight is None else check_weights(sample_weight, len(y))
