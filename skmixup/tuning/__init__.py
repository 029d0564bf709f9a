"""Hyper-parameter searches driven from designs: Optuna samplers and scikit-learn searches."""
