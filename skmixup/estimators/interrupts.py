"""Telling Ctrl-C from a callback of skorch's that ends the training early."""

import dis
from typing import Any

from skorch.callbacks import EarlyStopping


def has_seen_enough(error: BaseException) -> bool:
    """Whether `error` comes from skorch's EarlyStopping, or a subclass, which ends a training.

    EarlyStopping raises KeyboardInterrupt, the same as Ctrl-C, which is to stop the caller too.
    They differ in what raised them: only EarlyStopping has a ``raise`` statement in a method of
    its own.
    """
    if not isinstance(error, KeyboardInterrupt) or error.__traceback__ is None:
        return False
    innermost: Any = error.__traceback__
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    code = innermost.tb_frame.f_code
    raised = code.co_code[innermost.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    owner = innermost.tb_frame.f_locals.get("self")
    return raised and isinstance(owner, EarlyStopping)
