"""What ends a training before its last epoch: Ctrl-C, or a callback that has seen enough."""

import dis
from typing import Any

from skorch.callbacks import EarlyStopping


def has_seen_enough(error: BaseException) -> bool:
    """Whether `error` is how skorch's EarlyStopping, or a subclass, ends a training.

    It raises KeyboardInterrupt, which skorch's `fit` takes for the end. A Ctrl-C is no such end:
    the caller wants whatever is running to stop. The two are told apart by the statement that
    raised: a ``raise`` in a method of such a callback.
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
