"""Whether a module's layers can be mixed at, found out by running it on three rows."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skmixup.vicinal.blocks import (
    N_AUTO_BLOCKS,
    is_wrapped_by_compiler,
    layer_at,
    parts,
    unwrap,
)
from skmixup.vicinal.layers import MixingHook, check_mixable, not_called, sole_output
from skmixup.vicinal.loss import first_output
from skmixup.vicinal.nested import take

N_ROWS = 3
# Outputs that differ by less than this share of their largest entry count as equal: far more than
# rounding differs between kernels, far less than outputs of different rows do. In low precision,
# at least so many units of the last place.
TOLERANCE = 1e-3
ULPS = 16


class LayerCheck:
    """Run a module on three rows and look at what its layers return.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode, as it is behind ``torch.compile``.
    run : callable
        Runs it on a batch.
    rows : Tensor, or dict or list of tensors, of three rows
    """

    def __init__(self, module: nn.Module, run: Callable[[Any], Any], rows: Any):
        self.module, self.run, self.rows = module, run, rows

    def usable(
        self, sites: Sequence[str], *, choose: bool, input_too: bool = True
    ) -> tuple[str, ...]:
        """Return the hidden layers that can be mixed at.

        Parameters
        ----------
        sites : sequence of str
            Names of submodules.
        choose : bool
            Leave out those that cannot, and all but the first two that can; otherwise they are an
            error.
        input_too : bool, default=True
            Whether rows can be mixed at the input, so that no hidden layer is needed.

        Raises
        ------
        TypeError
            For an output that is not one floating-point tensor.
        RuntimeError
            For a layer that is not called.
        ValueError
            For an output whose first axis is not the rows of the input, and for a layer of a
            module that is compiled already.
        """
        for site in sites:
            check_hookable(self.module, site)
        if not choose:
            return self._named(sites)
        sites = self._entered(sites)
        wrong = self._problems(sites)
        right = [site for site in sites if site not in wrong]
        found: list[str] = []
        for site in right:
            if len(found) < N_AUTO_BLOCKS and self._carries_all(site):
                found.append(site)
        if right and not found and not input_too:  # masks, for instance, reach every block
            found = right[:N_AUTO_BLOCKS]
            _warn_bypassed(found)
        elif sites and not found:
            reasons = "; ".join(map(str, wrong.values())) or "each is bypassed by other layers"
            warnings.warn(
                "layers='auto' finds no hidden layer to mix at, so rows are mixed at the input "
                f"only: {reasons}",
                UserWarning,
                stacklevel=2,
            )
        return tuple(found)

    def _named(self, sites: Sequence[str]) -> tuple[str, ...]:
        for error in self._problems(sites).values():
            raise error
        bypassed = [site for site in sites if not self._carries_all(site)]
        if bypassed:
            _warn_bypassed(bypassed)
        return tuple(sites)

    def _entered(self, sites: Sequence[str]) -> list[str]:
        """Replace blocks that are never called themselves, only their parts, by these parts."""
        called = self._outputs(sites, self.rows)
        entered: list[str] = []
        for site in sites:
            inside = [] if site in called else parts(layer_at(unwrap(self.module), site), site)
            entered += [name for name, _ in inside] or [site]
        return entered

    def _problems(self, sites: Sequence[str]) -> dict[str, Exception]:
        """Errors for those of `sites` that cannot be mixed at."""
        whole = self._outputs(sites, self.rows)
        swapped = self._outputs(sites, take(self.rows, torch.tensor([1, 0, 2])))
        fewer = self._outputs(sites, take(self.rows, torch.tensor([0, 1])))
        again: dict[str, Any] | None = None
        problems: dict[str, Exception] = {}
        for site in sites:
            if site not in whole:
                problems[site] = not_called(site)
                continue
            try:
                check_mixable(whole[site], f"the output of layer {site!r}")
            except TypeError as error:
                problems[site] = error
                continue
            if _length(whole[site]) != N_ROWS or _length(fewer.get(site)) != N_ROWS - 1:
                problems[site] = _other_axis(site, whole[site], fewer.get(site))
            elif not _close(whole[site][[1, 0, 2]], swapped.get(site)):
                again = again or self._outputs(sites, self.rows)
                if _close(whole[site], again.get(site)):  # else it is random, which says nothing
                    problems[site] = _other_rows(site)
        return problems

    def _outputs(self, sites: Sequence[str], rows: Any) -> dict[str, Any]:
        """First output of each of the layers at `sites`, for those that are called."""
        outputs: dict[str, Any] = {}
        with ExitStack() as stack:
            for site in sites:

                def keep(_layer: Any, _args: Any, output: Any, site: str = site) -> None:
                    value = sole_output(output)
                    if site not in outputs:  # a copy: what comes next may work in place
                        copied = isinstance(value, Tensor)
                        outputs[site] = value.detach().clone() if copied else value

                stack.enter_context(_hooked(self.module, site, keep))
            # With gradients, as in training: without, torch's transformers call no inner layer.
            with torch.enable_grad():
                self.run(rows)
        return outputs

    def _carries_all(self, site: str) -> bool:
        """Whether all that the module's output depends on goes through the layer.

        The module is run on the rows in another order, while the layer returns what it returned
        for the first order. If the module's output is then that for the first order, nothing of
        the rows went past the layer.
        """
        kept = [self._outputs([site], self.rows)[site]]

        def replace(_layer: Any, _args: Any, output: Any) -> Any:
            if not kept:
                return None  # the first call only, as in mixing
            return kept.pop() if sole_output(output) is output else (kept.pop(),)

        with torch.enable_grad():
            expected, again = (first_output(self.run(self.rows)) for _ in range(2))
            with _hooked(self.module, site, replace):
                found = first_output(self.run(take(self.rows, torch.tensor([1, 2, 0]))))
        return _close(expected, found) or not _close(expected, again)


def _warn_bypassed(sites: Sequence[str]) -> None:
    names = ", ".join(map(repr, sites))
    warnings.warn(
        f"{'layer' if len(sites) == 1 else 'layers'} {names}: not all that the module's output is "
        "computed from goes through there. Part of a row goes past (a shortcut, another input, a "
        "mask) and stays unmixed when the layer is mixed at; choose a layer after they meet",
        UserWarning,
        stacklevel=2,
    )


def check_hookable(module: nn.Module, site: str) -> None:
    """Raise ValueError for a layer at which a hook that is added now would not run or not mix."""
    layer = layer_at(unwrap(module), site)
    if isinstance(layer, torch.jit.ScriptModule):
        raise ValueError(
            f"layer {site!r} is scripted (torch.jit), and scripted code runs no hooks, which mix; "
            "pass the module as it was before torch.jit.script"
        )
    for parent in _parents(unwrap(module), site):
        if isinstance(parent, nn.DataParallel) and len(parent.device_ids) > 1:
            raise ValueError(
                f"layer {site!r} is inside DataParallel on {len(parent.device_ids)} devices, each "
                "of which has a part of the rows, so that pairs cannot be mixed there; mix at the "
                "input, or pass the module without DataParallel"
            )
    compiled = is_wrapped_by_compiler(module) or "_orig_mod" in site.split(".")
    hooked = any(isinstance(hook, MixingHook) for hook in layer._forward_hooks.values())
    if compiled and not hooked:  # it would have been given its hook before
        raise ValueError(
            f"layer {site!r} is inside a module that is compiled already, and compiled code runs "
            "no hooks that are added later; pass the module as it was before torch.compile, with "
            "compile=True"
        )


def _parents(module: nn.Module, site: str) -> Iterator[nn.Module]:
    for part in site.split("."):
        yield module
        module = layer_at(module, part)


@contextmanager
def _hooked(module: nn.Module, site: str, hook: Callable[..., Any]) -> Iterator[None]:
    """Run `hook` after each call of a layer."""
    handle = layer_at(unwrap(module), site).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _length(output: Any) -> int:
    return len(output) if isinstance(output, Tensor) and output.ndim else -1


def _close(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
        return False
    a, b = a.detach(), b.detach()
    scale = float(a.abs().nan_to_num(0.0, 0.0, 0.0).max()) if a.numel() else 0.0
    precision = ULPS * torch.finfo(a.dtype).eps if a.is_floating_point() else 0.0
    tolerance = max(TOLERANCE, precision) * scale + 1e-30
    return torch.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True)


def _other_axis(site: str, output: Tensor, fewer: Any) -> ValueError:
    shapes = f"{tuple(output.shape)} for {N_ROWS} rows"
    if isinstance(fewer, Tensor):
        shapes += f" and {tuple(fewer.shape)} for {N_ROWS - 1}"
    return ValueError(
        f"the first axis of what layer {site!r} returns is not the rows: its shape is {shapes}. "
        "Mixing there would mix something else (time steps, tokens); choose a layer that returns "
        "(n, …), for instance with batch_first=True"
    )


def _other_rows(site: str) -> ValueError:
    return ValueError(
        f"the first axis of what layer {site!r} returns is not the rows of the input: when two "
        "rows change places, its entries do not. Labels would be mixed with other rows' values; "
        "choose another layer"
    )
