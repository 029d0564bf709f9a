"""Threads get their turn in the order in which they ask, or give up waiting."""

import threading
from types import SimpleNamespace

from skmixup.randomness import turns
from skmixup.randomness.turns import Turns


def test_turns_come_in_the_order_in_which_they_were_asked_for():
    lock, order, started = Turns(), [], []
    assert lock.take(0)

    def ask(k):
        lock.take(None)
        order.append(k)
        lock.give_back()

    for k in range(4):
        thread = threading.Thread(target=ask, args=(k,))
        thread.start()
        started.append(thread)
        while len(lock._waiting) <= k:
            pass
    lock.give_back()
    for thread in started:
        thread.join(60)
    assert order == [0, 1, 2, 3]


def test_a_turn_that_does_not_come_is_given_up():
    lock = Turns()
    assert lock.take(None)
    assert lock.take(0)  # the holder's own, again
    answers = []
    thread = threading.Thread(target=lambda: answers.extend([lock.take(0), lock.take(0.01)]))
    thread.start()
    thread.join(60)
    assert answers == [False, False]
    lock.give_back()
    lock.give_back()
    thread = threading.Thread(target=lambda: answers.append(lock.take(0)))
    thread.start()
    thread.join(60)
    assert answers[-1]


def test_a_machine_that_sleeps_uses_up_no_patience(monkeypatch):
    """Neither the thread that waits nor the one whose turn it is could do anything meanwhile."""
    lock, now, waited = Turns(), [0.0], []
    holder = threading.Thread(target=lock.take, args=(0,))
    holder.start()
    holder.join(60)

    class Gate:
        def acquire(self, timeout=None):
            if timeout is not None:
                waited.append(timeout)
                now[0] += 60
            if len(waited) == 3:
                lock.give_back()

        def release(self):
            pass

    fakes = SimpleNamespace(Lock=Gate, get_ident=threading.get_ident)
    monkeypatch.setattr(turns, "threading", fakes)
    monkeypatch.setattr(turns, "monotonic", lambda: now[0], raising=False)
    assert lock.take(1.0)
    assert lock.held() == 1
