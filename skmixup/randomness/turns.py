"""Whose turn it is to use the process-wide random states."""

import os
import threading
from collections import deque
from math import inf
from typing import Any

# Seconds after which a waiting thread looks whether its turn has come: an interrupt may have kept
# the one before from telling it.
POLL = 0.1


class Turns:
    """A lock that threads get in the order in which they asked; its holder may take it again."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[tuple[int, threading.Lock]] = deque()
        self._holder: int | None = None
        self._depth = 0

    def take(self, timeout: float | None) -> bool:
        """Wait for a turn, at most `timeout` seconds (None: as long as it takes); say if it came.

        With 0 it is taken only if it is free and nobody waits for it. What counts is the time that
        was spent waiting, not what the clock says: a machine that sleeps uses up no patience.
        """
        me = threading.get_ident()
        with self._mutex:
            if self._holder == me:
                self._depth += 1
                return True
            if self._holder is None and not self._waiting:
                self._holder, self._depth = me, 1
                return True
            if timeout == 0:
                return False
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append((me, gate))
        left = inf if timeout is None else timeout
        try:
            while self._holder != me:
                if left <= 0:
                    return not self._withdraw(me, gate)
                pause = min(POLL, left)
                gate.acquire(timeout=pause)
                left -= pause
        except BaseException:  # an interrupt: nobody is left to give a turn to
            if not self._withdraw(me, gate):
                self.give_back()
            raise
        return True

    def held(self) -> int:
        """How many times the calling thread has its turn, one within the other."""
        return self._depth if self._holder == threading.get_ident() else 0

    def _withdraw(self, me: int, gate: threading.Lock) -> bool:
        """Leave the queue; False if the turn has come in the meantime."""
        with self._mutex:
            if (me, gate) not in self._waiting:
                return False
            self._waiting.remove((me, gate))
            return True

    def give_back(self) -> None:
        """Let the next in the queue have its turn."""
        with self._mutex:
            self._depth -= 1
            if self._depth > 0:
                return
            if not self._waiting:
                self._holder = None
                return
            self._holder, gate = self._waiting[0]
            self._depth = 1
            self._waiting.popleft()
            gate.release()


turns = Turns()


class _Windows(threading.local):
    """The windows that this thread is in, innermost last."""

    def __init__(self) -> None:
        self.stack: list[Any] = []


WINDOWS = _Windows()


def _after_fork() -> None:
    # The thread that held the turn does not exist in the child.
    turns.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
