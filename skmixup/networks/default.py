"""Which network is the default for the data, and for parameters that were saved."""

from collections.abc import Mapping
from typing import Any

from torch import Size, Tensor

from skmixup.networks.mlp import MLP
from skmixup.networks.resnet import PreActResNet

NETWORKS = {"MLP": MLP, "PreActResNet": PreActResNet}


def default_network_in(state: Mapping[str, Tensor]) -> tuple[str, int, int] | None:
    """Recognise the default network that a state dict was saved from.

    Parameters
    ----------
    state : mapping of str to Tensor

    Returns
    -------
    (name, n_inputs, n_outputs), or None
        A key of ``NETWORKS``, the number of columns or channels, and of logits; None for another
        module.

    Examples
    --------
    >>> from skmixup.networks.default import default_network_in
    >>> default_network_in(MLP(20, 3).state_dict())
    ('MLP', 20, 3)
    """
    sizes = _sizes_in(state)
    if not {"head.weight", "head.bias"} <= set(sizes):
        return None
    n_outputs = sizes["head.bias"][-1]
    if "stem.weight" in sizes and "norm.weight" in sizes:
        return "PreActResNet", sizes["stem.weight"][1], n_outputs
    parts = {name.split(".")[0] for name in sizes}
    if not parts <= {name.split(".")[0] for name in MLP(1, 1).state_dict()}:
        return None
    for name, axis in (
        ("scaling.center", 0), ("embedding.frequency", 0), ("embedding.start", 0),
        ("members.weight", 1), ("blocks.0.0.weight", 1), ("head.weight", 1),
    ):  # fmt: skip
        if name in sizes:
            return "MLP", sizes[name][axis], n_outputs
    return None


def arguments_in(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of a default network that its parameters tell, by name.

    Parameters
    ----------
    state : mapping of str to Tensor
        In which :func:`default_network_in` recognises one.

    Examples
    --------
    >>> from skmixup.networks.default import arguments_in
    >>> arguments_in(MLP(20, 3, hidden_sizes=(64,)).state_dict())  # doctest: +NORMALIZE_WHITESPACE
    {'hidden_sizes': (64,), 'n_members': 4, 'batch_norm': False, 'embedding': 'periodic',
     'scale_inputs': True}
    """
    sizes = _sizes_in(state)
    scaled = {"scale_inputs": any(name.startswith("scaling.") for name in sizes)}
    if "stem.weight" in sizes:
        blocks = {tuple(name.split(".")[:3]) for name in sizes if name.startswith("stages.")}
        stages = [int(stage) for _, stage, _ in blocks]
        depths = tuple(stages.count(i) for i in range(1 + max(stages, default=-1)))
        return {"depths": depths, "width": sizes["stem.weight"][0], **scaled}
    n_blocks = len({name.split(".")[1] for name in sizes if name.startswith("blocks.")})
    kinds = {"frequency": "periodic", "start": "piecewise"}
    embeddings = [kind for name, kind in kinds.items() if f"embedding.{name}" in sizes]
    return {
        "hidden_sizes": tuple(sizes[f"blocks.{i}.0.weight"][0] for i in range(n_blocks)),
        "n_members": sizes["members.weight"][0] if "members.weight" in sizes else 1,
        "batch_norm": "blocks.0.1.running_mean" in sizes,
        "embedding": embeddings[0] if embeddings else None,
        **scaled,
    }


def difference(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str | None:
    """Say how the default network of a file differs from one's own, and what would load it.

    None where either is another module, or where they do not differ.
    """
    found, here = default_network_in(saved), default_network_in(own)
    if found is None or here is None:
        return None
    names = {"MLP": "an MLP for tables", "PreActResNet": "a PreActResNet for images"}
    if found[0] != here[0]:
        return f"the file holds {names[found[0]]}, and this one is {names[here[0]]}"
    theirs, ours = arguments_in(saved), arguments_in(own)
    wanted = [f"module__{k}={v!r}" for k, v in theirs.items() if v != ours[k]]
    given = [f"module__{k}={ours[k]!r}" for k, v in theirs.items() if v != ours[k]]
    if wanted:
        return (
            f"the file holds a default network with {', '.join(wanted)}, and this one has "
            f"{', '.join(given)}. A new estimator with these parameters of the file loads it"
        )
    if found != here:
        return (
            f"the file holds a default network with {found[1]} inputs and {found[2]} outputs, and "
            f"this one has {here[1]} and {here[2]}; an estimator that is not fitted gets its "
            "sizes from the file, and loads it"
        )
    return None


def _sizes_in(state: Mapping[str, Tensor]) -> dict[str, Size]:
    # compiled modules and DataParallel put a name before the others
    return {
        name.removeprefix("_orig_mod.").removeprefix("module."): value.shape
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
