"""Names that constructors take by ``**kwargs``, listed for static checkers such as mypy.

A checker cannot be told that every name that begins with ``module__`` is allowed and any other
unknown name is a mistake. So each constructor has two overloads. Without a module it takes the
names listed here, those of the default network and of torch's usual parts, and a checker reports
any other. With a module (or ``None`` as the first argument) it takes any name.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from torch import Tensor, nn


class PartArguments(TypedDict, total=False):
    """Arguments of the default networks, and of AdamW, SGD, cross-entropy and DataLoader."""

    # skmixup.networks.MLP
    module__n_features: int
    module__n_outputs: int
    module__hidden_sizes: Sequence[int]
    module__n_members: int
    module__dropout: float
    module__activation: type[nn.Module]
    module__batch_norm: bool
    module__scale_inputs: bool
    module__embedding: str | None
    module__column_weights: str | None
    # skmixup.networks.PreActResNet
    module__n_channels: int
    module__depths: Sequence[int]
    module__width: int

    criterion__weight: Tensor | None
    criterion__ignore_index: int
    criterion__label_smoothing: float
    criterion__reduction: str

    optimizer__param_groups: list[tuple[str, dict[str, Any]]]
    optimizer__lr: float
    optimizer__weight_decay: float
    optimizer__betas: tuple[float, float]
    optimizer__eps: float
    optimizer__amsgrad: bool
    optimizer__momentum: float
    optimizer__dampening: float
    optimizer__nesterov: bool
    optimizer__maximize: bool
    optimizer__foreach: bool | None
    optimizer__capturable: bool
    optimizer__differentiable: bool
    optimizer__fused: bool | None

    iterator_train__batch_size: int
    iterator_train__shuffle: bool
    iterator_train__drop_last: bool
    iterator_train__sampler: Any
    iterator_train__batch_sampler: Any
    iterator_train__num_workers: int
    iterator_train__collate_fn: Callable[[list[Any]], Any]
    iterator_train__pin_memory: bool
    iterator_train__timeout: float
    iterator_train__worker_init_fn: Callable[[int], None]
    iterator_train__multiprocessing_context: Any
    iterator_train__generator: Any
    iterator_train__prefetch_factor: int | None
    iterator_train__persistent_workers: bool

    iterator_valid__batch_size: int
    iterator_valid__drop_last: bool
    iterator_valid__num_workers: int
    iterator_valid__collate_fn: Callable[[list[Any]], Any]
    iterator_valid__pin_memory: bool
    iterator_valid__timeout: float
    iterator_valid__worker_init_fn: Callable[[int], None]
    iterator_valid__multiprocessing_context: Any
    iterator_valid__prefetch_factor: int | None
    iterator_valid__persistent_workers: bool

    # skorch's default callbacks, which None turns off
    callbacks__epoch_timer: Any
    callbacks__train_loss: Any
    callbacks__valid_loss: Any
    callbacks__valid_acc: Any
    callbacks__print_log: Any

    history: Any  # skorch takes one of another class


class SharedParameters(PartArguments, total=False):
    """The parameters that all estimators share."""

    augment: Any
    mix_epochs: float | None
    random_state: Any
    criterion: Any
    optimizer: Any
    lr: float
    lr_schedule: str | Callable[[float], float] | None
    ema_decay: float
    batch_size: int | str
    iterator_train: Any
    iterator_valid: Any
    dataset: Any
    train_split: float | Callable[..., Any] | None
    callbacks: Any
    predict_nonlinearity: Any
    warm_start: bool
    verbose: int
    device: Any
    compile: bool
    precision: str
    use_caching: Any
    torch_load_kwargs: Any


class ClassifierParameters(SharedParameters, total=False):
    """The parameters that all classifiers share."""

    class_weight: Any
    max_epochs: int | str
    classes: Any
