"""Classifiers that mix rows: mixup at the input, and at a layer drawn at random."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack, overload

import torch

from skmixup.estimators.arguments import ClassifierParameters
from skmixup.estimators.classifiers import VicinalClassifier
from skmixup.estimators.docstrings import documents_every_parameter
from skmixup.estimators.flat_vicinity import FlatManifoldMixup, FlatMixup
from skmixup.estimators.parameters import passed_on
from skmixup.training.batches import ArrayDataset, TensorBatches
from skmixup.vicinal.vicinity import Alpha


@documents_every_parameter(VicinalClassifier)
class MixupClassifier(FlatMixup, VicinalClassifier):
    r"""Neural network classifier trained with mixup at the input.

    It trains on :math:`λ x_i + (1 − λ) x_j` with label :math:`λ y_i + (1 − λ) y_j`, where
    λ ~ Beta(α, α) and j is a random row of the minibatch.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        As in :class:`VicinalClassifier`.
    alpha : float or pair of float, default=0.2
        Strength of the interpolation: 0 is exactly empirical risk minimisation; a pair (a, b)
        means Beta(a, b). 0.1 to 0.4 suits small networks and tables, 1 suits large networks on
        images, and 8 or more suits many wrong labels that long training would memorise.
    mix_per : {"batch", "sample"}, default="batch"
        One λ for each minibatch, as in the paper, or for each pair.
    mix_prob : float in [0, 1], default=1.0
        Probability that a minibatch, or with ``mix_per="sample"`` a row, is mixed at all.
    **kwargs
        All other parameters are those of :class:`VicinalClassifier`.

    See Also
    --------
    ManifoldMixupClassifier : mixes at a randomly drawn layer.
    skmixup.vicinal.Mixup : the vicinity.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. ICLR 2018,
    arXiv:1710.09412, equation (1).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmixup import MixupClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), MixupClassifier(random_state=0)).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 3)
    """

    alpha: Alpha
    mix_per: str
    mix_prob: float

    @overload
    def __init__(
        self,
        module: None = None,
        *,
        alpha: Alpha = ...,
        mix_per: str = ...,
        mix_prob: float = ...,
        **kwargs: Unpack[ClassifierParameters],
    ) -> None: ...

    @overload
    def __init__(self, module: Any, **kwargs: Any) -> None: ...

    def __init__(
        self,
        module: Any = None,
        *,
        alpha: Alpha = 0.2,
        mix_per: str = "batch",
        mix_prob: float = 1.0,
        augment: Any = None,
        mix_epochs: float | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        criterion: Any = "auto",
        optimizer: Any = torch.optim.AdamW,
        lr: float = 3e-3,
        lr_schedule: str | Callable[[float], float] | None = "auto",
        ema_decay: float = 0.0,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        iterator_train: Any = TensorBatches,
        iterator_valid: Any = TensorBatches,
        dataset: Any = ArrayDataset,
        train_split: float | Callable[..., Any] | None = None,
        callbacks: Any = None,
        predict_nonlinearity: Any = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        compile: bool = False,
        precision: str = "float32",
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))
        self._flatten_vicinity(kwargs)


@documents_every_parameter(MixupClassifier)
class ManifoldMixupClassifier(FlatManifoldMixup, MixupClassifier):
    r"""Neural network classifier trained with manifold mixup.

    For each minibatch a layer k is drawn from a set S; its output is mixed,
    :math:`f_k(λ g_k(x_i) + (1 − λ) g_k(x_j))`, and so are the labels.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        As in :class:`VicinalClassifier`.
    alpha : float or pair of float, default=0.2
        As in :class:`MixupClassifier`; the paper has 2 for large networks on images.
    layers : "auto", int, str or sequence of these, default="auto"
        The set S. ``0`` or ``"input"`` is the input, an integer k ≥ 1 the output of the k-th
        block, and any other string a name from ``module.named_modules()``. ``"auto"`` is the input
        and the first two blocks that can be mixed at, as in the paper. The blocks are those that
        the module, or one inside it, lists in an attribute ``mixup_layers``; without such a list,
        its children that have parameters, without the last, and if several of these consist of
        layers, only those that do.
    block_gradient : {None, "below", "above"}, default=None
        ``"below"``: in each step no gradient flows to the parameters below the mixed layer;
        ``"above"``: none flows to the parameters above it. None: to all.
    **kwargs
        All other parameters are those of :class:`MixupClassifier`.

    References
    ----------
    Verma, Lamb, Beckham, Najafi, Mitliagkas, Lopez-Paz, Bengio: Manifold Mixup: Better
    Representations by Interpolating Hidden States. ICML 2019, arXiv:1806.05236, equation (1).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmixup import ManifoldMixupClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ManifoldMixupClassifier(layers=[0, 1], max_epochs=5, random_state=0)
    >>> clf.fit(X / 16, y).predict(X[:3] / 16)
    array([0, 1, 2])
    """

    layers: str | int | Sequence[str | int]
    block_gradient: str | None

    @overload
    def __init__(
        self,
        module: None = None,
        *,
        alpha: Alpha = ...,
        layers: str | int | Sequence[str | int] = ...,
        block_gradient: str | None = ...,
        mix_per: str = ...,
        mix_prob: float = ...,
        **kwargs: Unpack[ClassifierParameters],
    ) -> None: ...

    @overload
    def __init__(self, module: Any, **kwargs: Any) -> None: ...

    def __init__(
        self,
        module: Any = None,
        *,
        alpha: Alpha = 0.2,
        layers: str | int | Sequence[str | int] = "auto",
        block_gradient: str | None = None,
        mix_per: str = "batch",
        mix_prob: float = 1.0,
        augment: Any = None,
        mix_epochs: float | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        criterion: Any = "auto",
        optimizer: Any = torch.optim.AdamW,
        lr: float = 3e-3,
        lr_schedule: str | Callable[[float], float] | None = "auto",
        ema_decay: float = 0.0,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        iterator_train: Any = TensorBatches,
        iterator_valid: Any = TensorBatches,
        dataset: Any = ArrayDataset,
        train_split: float | Callable[..., Any] | None = None,
        callbacks: Any = None,
        predict_nonlinearity: Any = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        device: Any = "auto",
        compile: bool = False,
        precision: str = "float32",
        use_caching: Any = "auto",
        torch_load_kwargs: Any = None,
        classes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))
