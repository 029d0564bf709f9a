"""From `random_state` to the generator of a fit, also where a subclass overrides `initialize`."""

from copy import deepcopy
from typing import Any

from skmixup.randomness.fit import generator_from, isolated_randomness
from skmixup.training.devices import resolve_device
from skmixup.training.own_loss import is_users

# Where a generator waits for the `initialize` of the estimators to take it.
_WAITING = "_next_rng_"


def seed(net: Any) -> None:
    """Give `net` a new generator, which all randomness of its next fits comes from."""
    net._rng_ = net.__dict__.pop(_WAITING, None) or generator_from(net.random_state)
    net.__dict__.pop("_split_seed_", None)


def initialize_seeded(net: Any) -> None:
    """Call ``net.initialize()``, with initial weights that follow from `random_state`.

    Also where `initialize` is overridden and does not call ours, as in skorch's AccelerateMixin.
    """
    if not is_users(net, "initialize"):
        net.initialize()
        return
    net.__dict__[_WAITING] = rng = generator_from(net.random_state)
    ahead = deepcopy(rng)
    with isolated_randomness(ahead, resolve_device(net.device)):
        net.initialize()
    if _WAITING in net.__dict__:  # our initialize was not called
        net.__dict__[_WAITING] = ahead
        seed(net)
