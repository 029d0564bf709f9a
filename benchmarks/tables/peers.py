"""What a user could put at the end of a pipeline for a table with classes, with its settings.

The others are set as their authors advise where probabilities count:

* RealMLP-TD-S and RealMLP-TD (Holzmüller et al. 2024): the epoch is chosen by cross-entropy on a
  fifth of the rows, without label smoothing, and one network is then trained on all rows.
  RealMLP-TD-S bagged is the mean of the networks of five folds instead.
* TabM (Gorishniy et al. 2025), as in TabArena: TabM-mini with piecewise-linear embeddings of 48
  bins, patience 16 on a fifth of the rows, by cross-entropy.
* CatBoost with its defaults, and tuned: see `TunedCatBoost`.
* ERM has a temperature, as all networks of ours: ``max_epochs="auto"`` fits one.
"""

import logging
import math

import numpy as np
import pandas as pd
import skrub
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier

from skmixup import (
    ManifoldMixupClassifier,
    MixupClassifier,
    MixupClassifierCV,
    VicinalClassifier,
)

TREES = ("RandomForest", "HistGradientBoosting", "CatBoost", "CatBoost tuned")
OURS = ("ERM", "mixup", "manifold mixup", "MixupClassifierCV")
NETWORKS = ("MLPClassifier", "RealMLP-TD-S", "RealMLP-TD", "TabM", *OURS[:-1])
METHODS = ("LogisticRegression", *TREES, *NETWORKS, "RealMLP-TD-S bagged", "MixupClassifierCV")
SLOW = (
    "CatBoost tuned",
    "RealMLP-TD",
    "TabM",
    "RealMLP-TD-S bagged",
)  # measured on some of the sets only
N_RUNS = 10  # settings of CatBoost tuned
REALMLP = {"val_metric_name": "cross_entropy", "use_ls": False, "n_refit": 1}
TABM = {
    **{"arch_type": "tabm-mini", "num_emb_type": "pwl", "batch_size": "auto"},
    **{"weight_decay": 3e-4, "val_metric_name": "cross_entropy"},
}


def text_columns(X):
    """Names of the columns that are not numbers."""
    return [str(c) for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]


class NativeCategories:
    """CatBoost, RealMLP and TabM take text columns as they are, if told which they are.

    The networks take no missing numbers: the mean of the column stands for them.
    """

    def __init__(self, model, keyword, *, impute):
        self.model, self.keyword, self.impute = model, keyword, impute

    def frame(self, X):
        """X with text for what is missing in text columns."""
        X = X.copy()
        for column in text_columns(X):
            X[column] = X[column].astype(object).where(X[column].notna(), "missing").astype(str)
        return X.fillna(self.means) if self.impute else X

    def fit(self, X, y):
        """Fit on a frame with numbers, text and gaps."""
        self.means = X.mean(numeric_only=True).fillna(0)
        self.model.fit(self.frame(X), y, **{self.keyword: text_columns(X)})
        return self

    def predict_proba(self, X):
        """Probabilities of the classes."""
        return self.model.predict_proba(self.frame(X))

    def predict(self, X):
        """Predicted targets."""
        return np.asarray(self.model.predict(self.frame(X))).ravel()


class TunedCatBoost:
    """Its defaults and nine settings at random; the best one is bagged.

    All are fitted on the first of five folds, stopped by its loss, and the best one on all five,
    whose mean predicts. The space is TabArena's, with at most 2000 rounds, the rate from 0.01 for
    that reason, and patience 50.
    """

    def __init__(self, seed, *, regression=False):
        self.seed, self.regression = seed, regression

    def settings(self):
        """Its own setting, {}, and others."""
        rng = np.random.default_rng(self.seed)
        yield {}
        for _ in range(N_RUNS - 1):
            yield {
                "learning_rate": math.exp(rng.uniform(math.log(0.01), math.log(0.1))),
                "bootstrap_type": "Bernoulli",
                "subsample": rng.uniform(0.7, 1.0),
                "grow_policy": str(rng.choice(["SymmetricTree", "Depthwise"])),
                "depth": int(rng.integers(4, 8, endpoint=True)),
                "rsm": rng.uniform(0.85, 1.0),
                "l2_leaf_reg": math.exp(rng.uniform(math.log(1e-4), math.log(5.0))),
                "leaf_estimation_iterations": int(math.exp(rng.uniform(0, math.log(21)))),
                "one_hot_max_size": int(math.exp(rng.uniform(math.log(8), math.log(101)))),
                "model_size_reg": math.exp(rng.uniform(math.log(0.1), math.log(1.5))),
                "max_ctr_complexity": int(rng.integers(2, 5, endpoint=True)),
                "boosting_type": "Plain",
                "iterations": 2000,
            }

    def _fitted(self, setting, X, y, fold, cat_features):
        train, held_out = fold
        model = catboost(self.seed, regression=self.regression, **setting)
        model.fit(
            X.iloc[train],
            y[train],
            cat_features=cat_features,
            eval_set=(X.iloc[held_out], y[held_out]),
            early_stopping_rounds=50,
        )
        return model

    def fit(self, X, y, cat_features):
        """Choose a setting and bag it."""
        kind = KFold if self.regression else StratifiedKFold
        folds = list(kind(5, shuffle=True, random_state=self.seed).split(X, y))
        best, settings = (math.inf, None, None), self.settings()
        for setting in settings:
            model = self._fitted(setting, X, y, folds[0], cat_features)
            (loss, *_) = model.get_best_score()["validation"].values()
            best = min(best, (loss, setting, model), key=lambda one: one[0])
        others = (self._fitted(best[1], X, y, fold, cat_features) for fold in folds[1:])
        self.models = [best[2], *others]
        return self

    def predict_proba(self, X):
        """Mean of the five models' probabilities."""
        return np.mean([model.predict_proba(X) for model in self.models], axis=0)

    def predict(self, X):
        """Mean of the five models' predictions."""
        return np.mean([model.predict(X) for model in self.models], axis=0)


def catboost(seed, *, regression=False, **setting):
    """CatBoost on one core, silent."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostRegressor if regression else CatBoostClassifier
    return kind(
        thread_count=1, verbose=False, random_seed=seed, allow_writing_files=False, **setting
    )


def pytabkit_model(name, seed, **setting):
    """An estimator of pytabkit on one core, silent."""
    import pytabkit

    for noisy in ("lightning", "pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    kind = getattr(pytabkit, name)
    return kind(device="cpu", n_threads=1, random_state=seed, verbosity=0, **setting)


def make(method, seed):
    """Return the classifier, in the pipeline that a user would put it in."""
    if method == "CatBoost":
        return NativeCategories(catboost(seed), "cat_features", impute=False)
    if method == "CatBoost tuned":
        return NativeCategories(TunedCatBoost(seed), "cat_features", impute=False)
    if method.startswith("RealMLP"):
        name, bagged = method.removesuffix(" bagged"), method.endswith(" bagged")
        setting = REALMLP | ({"n_refit": 0, "n_cv": 5} if bagged else {})
        model = pytabkit_model(name.replace("-", "_") + "_Classifier", seed, **setting)
        return NativeCategories(model, "cat_col_names", impute=True)
    if method == "TabM":
        model = pytabkit_model("TabM_D_Classifier", seed, **TABM)
        return NativeCategories(model, "cat_col_names", impute=True)
    kinds = {
        "LogisticRegression": (LogisticRegression, {"max_iter": 1000}),
        "RandomForest": (RandomForestClassifier, {}),
        "HistGradientBoosting": (HistGradientBoostingClassifier, {}),
        "MLPClassifier": (MLPClassifier, {}),
        "ERM": (VicinalClassifier, {}),
        "mixup": (MixupClassifier, {}),
        "manifold mixup": (ManifoldMixupClassifier, {}),
        "MixupClassifierCV": (MixupClassifierCV, {}),
    }
    kind, params = kinds[method]
    return skrub.tabular_pipeline(kind(random_state=seed, **params))
