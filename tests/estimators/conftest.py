"""What tests of max_epochs="auto" share: short pilots, or none."""

import pytest

from skmixup.estimators import pilot, piloted
from skmixup.estimators.pilot_watch import Length
from skmixup.training import tensor_net


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(pilot, "CANDIDATES", (1, 2, 3))


@pytest.fixture
def found(monkeypatch):
    """No pilot, but what one would find; the list has what it was asked."""
    asked = []

    def find(net, rows):
        asked.append(rows)
        return Length(3, 0.5)

    monkeypatch.setattr(piloted, "find_length", find)
    monkeypatch.setattr(tensor_net, "USUAL_EPOCHS", 2)
    return asked
