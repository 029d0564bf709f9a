"""Contexts on a fit's random states: kept apart, left whole, waited for."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from skmixup.randomness import windows
from skmixup.randomness.turns import turns
from skmixup.randomness.windows import Window


def test_windows_within_windows_keep_their_states_apart(fit_randomness):
    outer, inner = fit_randomness(), fit_randomness()
    for first in (outer.whole, outer.callbacks):
        for second in (inner.whole, inner.callbacks, inner.step):
            ours, theirs = fit_randomness(), fit_randomness()
            first = Window(ours, whole=first.whole, takes_turn=first.takes_turn)
            second = Window(theirs, whole=second.whole, takes_turn=second.takes_turn)
            with first:
                a = torch.rand(2)
                with second:
                    b = torch.rand(3)
                c = torch.rand(2)
            with fit_randomness().whole:
                expected = torch.rand(2), torch.rand(2)
            assert torch.equal(torch.stack([a, c]), torch.stack(expected))
            with fit_randomness().whole:
                assert torch.equal(b, torch.rand(3))


def interrupted_in(window):
    with window:
        torch.rand(1)
        raise KeyboardInterrupt


def test_an_interrupt_in_a_window_leaves_the_states_and_the_turn(fit_randomness):
    before = torch.get_rng_state()
    for window in (fit_randomness().whole, fit_randomness().step, fit_randomness().callbacks):
        with pytest.raises(KeyboardInterrupt):
            interrupted_in(window)
    assert torch.equal(torch.get_rng_state(), before)
    assert turns._holder is None


def test_a_data_set_whose_turn_never_comes_is_told(monkeypatch, fit_randomness):
    monkeypatch.setattr(windows, "FETCH_PATIENCE", 0.01)
    ours = fit_randomness()
    held, done = threading.Event(), threading.Event()

    def hold():
        turns.take(None)
        held.set()
        done.wait(20)
        turns.give_back()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        held.wait(20)
        try:
            with pytest.warns(RuntimeWarning, match="not reproducible"):
                assert list(ours.isolate([1])) == [1]
        finally:
            done.set()
