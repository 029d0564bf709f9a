"""Threads get their turn in the order in which they ask, or give up waiting."""

import threading

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
