"""What others have set in torch for the whole thread or process, and a net does without.

What is learnt and predicted is to be the same in ``torch.inference_mode``, beside
``torch.set_default_dtype``, or in an ``autocast``, whose copies of weights in 16 bits would not
follow the weights while these are trained.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import Lock
from typing import Any

import torch


def own_surroundings(device_type: str) -> AbstractContextManager[Any]:
    """Context of a fit or a prediction, in which torch is as it is when it was imported.

    It is entered at once: what others have set is looked up here.

    Parameters
    ----------
    device_type : str
        Of the device that the module is on.
    """
    changes: list[AbstractContextManager[Any]] = []
    if torch.is_inference_mode_enabled():
        changes.append(torch.inference_mode(False))
    if not torch.is_grad_enabled():
        changes.append(torch.enable_grad())
    for kind in {device_type, "cpu"} & {"cpu", "cuda", "mps", "xpu"}:
        if torch.is_autocast_enabled(kind):
            # Autocasts inside this one, of `precision`, would not clear their cache either.
            changes.append(torch.autocast(kind, enabled=False, cache_enabled=False))
    # torch.get_default_device() of torch 2.6 raises after set_default_device(None).
    if torch.empty(0).device.type != "cpu":
        changes.append(torch.device("cpu"))  # which makes all calls slower
    if _default_type.is_changed():
        changes.append(_default_type.float32())
    return _all_of(changes) if changes else nullcontext()


@contextmanager
def _all_of(contexts: list[AbstractContextManager[Any]]) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


class _DefaultType:
    """Torch's default dtype, which all threads share: put back by the last who needs float32."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.n_inside = 0
        self.given = torch.float32

    def is_changed(self) -> bool:
        """Whether it is not float32, or was not before others have set it."""
        with self.lock:  # or the last to leave might be about to put it back
            return self.n_inside > 0 or torch.get_default_dtype() is not torch.float32

    @contextmanager
    def float32(self) -> Iterator[None]:
        """Context in which it is float32."""
        with self.lock:
            if self.n_inside == 0:
                self.given = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            self.n_inside += 1
        try:
            yield
        finally:
            with self.lock:
                self.n_inside -= 1
                if self.n_inside == 0:
                    torch.set_default_dtype(self.given)


_default_type = _DefaultType()
