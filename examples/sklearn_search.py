"""Search in scikit-learn with 20 candidates, at once and in four rounds that zoom in.

python examples/sklearn_search.py
"""

from scipy.stats import loguniform, randint
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split

from skmixup.tuning import UniformDesignSearchCV


def main() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    space = {
        "learning_rate": loguniform(0.01, 0.5),
        "max_leaf_nodes": randint(4, 32),
        "l2_regularization": loguniform(1e-4, 10),
    }
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0)
    for n_rounds in (1, 4):
        search = UniformDesignSearchCV(
            model, space, n_runs=20, n_rounds=n_rounds, cv=3, scoring="neg_log_loss"
        )
        search.fit(X_train, y_train)
        print(f"{n_rounds} round(s): cross-validated {search.best_score_:.4f}", end=", ")
        print(f"held out {search.score(X_test, y_test):.4f} with {search.best_params_}")


if __name__ == "__main__":
    main()
