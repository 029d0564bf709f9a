"""Which type of number a module takes, and the conversion of batches to it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skmixup.training.batches import is_pixels
from skmixup.vicinal.nested import map_tensors, tensors_in


def dtype_name(dtype: torch.dtype) -> str:
    """Name of a dtype, such as "float32": what a net keeps of it, since skops stores no dtypes."""
    return str(dtype).removeprefix("torch.")


def forget_inputs(net: Any) -> None:
    """Remove what an earlier fit noted about its X: names, shape and types."""
    for name in (
        "n_features_in_",
        "feature_names_in_",
        "input_shape_",
        "_input_dtype_",  # what the module takes
        "_input_dtypes_",  # the same for each value of a dict
        "_pixel_range_",  # of images: smallest and largest value, and whether they are uint8
        "_yielded_dtype_",  # what a data set yields, before it is converted
    ):
        net.__dict__.pop(name, None)


def input_cast(net: Any) -> Callable[[Any], Any]:
    """Return a function that converts batches of a data set to the type that the module takes.

    Floating-point numbers, booleans and small integers become the floating-point type of the
    module, as arrays do. Integers of 32 and 64 bits stay integers if the module takes them, such
    as one that begins with an embedding.
    """
    floating = _floating_dtype(net)
    integers = _integer_dtype(net)

    def cast(X: Any) -> Any:
        if not isinstance(X, Tensor):
            return map_tensors(lambda part: _as_part(part, floating), X)
        if X.dtype.is_complex:
            return X
        return X.to(floating if X.dtype.is_floating_point else integers)

    return cast


def _as_part(X: Any, floating: torch.dtype) -> Any:
    """One of several inputs: numbers in the floating-point type; masks and codes stay, as int64.

    No table of torch's takes integers of 8 and 16 bits.
    """
    if not isinstance(X, Tensor) or X.dtype.is_complex or X.dtype == torch.bool:
        return X
    if X.dtype.is_floating_point or is_pixels(X):
        return X.to(floating)
    return X.to(torch.int64) if X.element_size() < 4 else X


def _floating_dtype(net: Any) -> torch.dtype:
    parameters = net.module_.parameters()
    return next((p.dtype for p in parameters if p.is_floating_point()), torch.float32)


def _integer_dtype(net: Any) -> torch.dtype:
    known = net.__dict__.get("_input_dtype_")
    if known is not None:
        dtype: torch.dtype = getattr(torch, known)
        return _floating_dtype(net) if dtype.is_floating_point else dtype
    lookups = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    looks_up = any(isinstance(module, lookups) for module in net.module_.modules())
    return torch.int64 if looks_up else _floating_dtype(net)


def try_inputs(net: Any, rows: Any, *, cast: bool) -> Any:
    """Return the module's output for a few rows, in the first type of input that it takes.

    `net` notes that type as ``_input_dtype_``. Where the module takes no type, the error is that
    of the first. Rows of arrays have been converted before: with ``cast=False`` they are tried as
    they are.
    """
    if not isinstance(rows, Tensor):
        return _try_several(net, rows)
    floating = _floating_dtype(net)
    if not cast or rows.dtype.is_complex:
        tried = [rows.dtype]
    elif rows.dtype in (torch.int32, torch.int64):
        tried = [floating] if net.module is None else [rows.dtype, floating]
    else:
        tried = [floating] if rows.dtype.is_floating_point else [floating, torch.int64]
    first_error = None
    for dtype in tried:
        try:
            output = net.infer(rows.to(dtype))
        except Exception as error:
            first_error = first_error or error
        else:
            net._input_dtype_ = dtype_name(dtype)
            return output
    assert first_error is not None
    if rows.dtype.is_floating_point and _wants_integers(first_error):
        raise TypeError(
            f"{type(net.module_).__name__} looks its input up in a table, which takes integers, "
            f"but X comes as {rows.dtype}: arrays are converted to float32. Let the module's "
            "forward call x.long(), or pass a Dataset, whose integers of 64 bits stay integers "
            f"({first_error})"
        ) from first_error
    raise first_error


def _try_several(net: Any, rows: Any) -> Any:
    """Return the module's output for a few rows of several inputs."""
    try:
        return net.infer(rows)
    except Exception as error:
        floats = [
            what.rstrip(",")
            for what, x in tensors_in(rows, "X")
            if isinstance(x, Tensor) and x.is_floating_point()
        ]
        if not floats or not _wants_integers(error):
            raise
        raise TypeError(
            f"{type(net.module_).__name__} looks one of its inputs up in a table, which takes "
            f"integers; floating numbers are {'; '.join(floats)}. Pass codes as integers, such as "
            f"codes.astype(np.int64) ({error})"
        ) from error


def _wants_integers(error: Exception) -> bool:
    return any(part in str(error) for part in _WANT_INTEGERS)


# Parts of torch's errors where Embedding, one_hot or indexing get floating-point numbers.
_WANT_INTEGERS = (
    "scalar types: Long, Int",
    "only applicable to index tensor",
    "tensors used as indices",
)
