"""Small networks and nets for tests of interpolation consistency."""

from torch import nn

from skmixup.estimators import InterpolationConsistencyClassifier

Classifier = InterpolationConsistencyClassifier


def small():
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))


def normalised():
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def quick(module=small, **params):
    return Classifier(module, **{"max_epochs": 2, "random_state": 0, "device": "cpu"} | params)
