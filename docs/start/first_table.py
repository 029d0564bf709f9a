"""
From a table to a tuned model in ten minutes
============================================

A DataFrame with text, dates and gaps; a network that trains on it; a search that tunes it; what
mattered; a file to serve from. Copy it, and put your own table where ours is made.
"""

import pickle
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import skrub
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import cross_val_score, train_test_split

from skmixup import ManifoldMixupClassifier, MixupClassifierCV
from skmixup.effects import design_effects, plot_runs

# %%
# A table
# -------
#
# 500 customers, made up: numbers of very different size, categories, a date, gaps. Whether one
# leaves depends on how long they have been there, on the plan, and on luck.

rng = np.random.default_rng(0)
n = 500
table = pd.DataFrame(
    {
        "age": rng.integers(18, 80, n),
        "income": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(10, 1, n)),
        "plan": rng.choice(["basic", "family", "business"], n),
        "city": rng.choice(["Oslo", "Bergen", "Bodø", "Tromsø"], n),
        "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 2000, n), unit="D"),
    }
)
months = (pd.Timestamp("2026-01-01") - table["since"]).dt.days / 30
leaning = 1.5 - months / 25 + (table["plan"] == "basic") * (table["age"] < 40) * 2.0
target = np.where(rng.random(n) < 1 / (1 + np.exp(-2 * leaning)), "leaves", "stays")
print(table.head().to_string())
print(pd.Series(target).value_counts().to_string())

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for label in ("stays", "leaves"):
    left.hist(months[target == label], bins=20, alpha=0.6, label=label)
left.set(xlabel="months as a customer", ylabel="customers")
left.legend()
share = pd.crosstab(table["plan"], target, normalize="index")["leaves"]
right.bar(share.index, share)
right.set(ylabel="share that leaves", xlabel="plan")

# %%
# Keep rows aside, and know what is easy
# --------------------------------------
#
# The last fifth is looked at once, at the end. Before any network: how good is saying the same for
# everybody?

X_train, X_test, y_train, y_test = train_test_split(
    table, target, test_size=0.2, stratify=target, random_state=0
)
nothing = DummyClassifier(strategy="prior").fit(X_train, y_train)
print(f"log-loss of the shares alone: {log_loss(y_test, nothing.predict_proba(X_test)):.3f}")

# %%
# A first network
# ---------------
#
# ``skrub.tabular_pipeline`` makes numbers of dates and text, fills gaps and scales;
# :class:`~skmixup.ManifoldMixupClassifier` sizes its network from what it gets. All of it is one
# scikit-learn pipeline, so that nothing leaks between the folds.

model = skrub.tabular_pipeline(ManifoldMixupClassifier(random_state=0))
scores = cross_val_score(model, X_train, y_train, cv=3, scoring="neg_log_loss")
print(f"log-loss in three folds: {-scores.mean():.3f} ± {scores.std():.3f}")

# %%
# Tune it
# -------
#
# :class:`~skmixup.MixupClassifierCV` tries twenty settings of α, layers, learning rate, weight
# decay, epochs, dropout, width and embedding: its own, eleven of a uniform design and eight near
# the best of these. It averages the networks of the best and gives them one temperature.

tuned = skrub.tabular_pipeline(MixupClassifierCV(cv=3, random_state=0))
tuned.fit(X_train, y_train)
search = tuned[-1]
print(f"best setting: log-loss {-search.best_score_:.3f} with")
for name, value in search.best_params_.items():
    print(f"    {name} = {value}")
print(f"weights of the settings: {search.weights_.round(2)}")

# %%
# What mattered
# -------------
#
# The runs of the design say it at no extra cost. Few runs, few certainties: a parameter that does
# not stand out is one that you may leave alone.

effects = design_effects(search)
print(effects)
plot_runs(effects)
plt.show()

# %%
# Once, on the rows that were kept aside
# --------------------------------------

model.fit(X_train, y_train)
for name, fitted in {"first network": model, "tuned": tuned}.items():
    accuracy = accuracy_score(y_test, fitted.predict(X_test))
    loss = log_loss(y_test, fitted.predict_proba(X_test))
    print(f"{name:15} accuracy {accuracy:.3f}  log-loss {loss:.3f}")

# %%
# (``tuned.score`` is what was tuned for, the negative log-loss, as in any search of scikit-learn.)

# %%
# Serve it
# --------
#
# The whole pipeline goes into one file and comes back elsewhere, also without this machine's GPU.
# For ONNX, skops and microseconds there is :doc:`a page on deploying </guide/deploy>`.

path = Path(tempfile.mkdtemp()) / "customers.pkl"
path.write_bytes(pickle.dumps(tuned))
served = pickle.loads(path.read_bytes())
new_customer = X_test.iloc[[0]]
for label, probability in zip(served.classes_, served.predict_proba(new_customer)[0], strict=True):
    print(f"{label}: {probability:.2f}")

# %%
# Where next
# ----------
#
# * Images, early stopping, unlabelled rows, wrong labels, many machines:
#   :doc:`a recipe each </howto/index>`.
# * Which estimator, which α, which layers: :doc:`choosing </guide/choosing>`.
# * :doc:`Mistakes </guide/mistakes>` that others have made already.
