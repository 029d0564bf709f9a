"""Which network is the default for the data, and for parameters that were saved."""

from collections.abc import Mapping

from torch import Tensor

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
    # compiled modules and DataParallel put a name before the others
    sizes = {
        name.removeprefix("_orig_mod.").removeprefix("module."): value.shape
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
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
