"""Regressors: for any vicinity, with mixup at the input, and at a layer drawn at random."""

from collections.abc import Callable, Sequence
from typing import Any, Self, Unpack, overload

import torch
from numpy.typing import ArrayLike
from skorch import NeuralNetRegressor
from torch import nn

from skmixup.estimators.arguments import SharedParameters
from skmixup.estimators.classifiers import VicinalClassifier
from skmixup.estimators.docstrings import documents_every_parameter
from skmixup.estimators.flat_vicinity import FlatManifoldMixup, FlatMixup, vicinity_or_dirac
from skmixup.estimators.parameters import passed_on
from skmixup.estimators.regressor_fit import TargetNet
from skmixup.training.batches import ArrayDataset, TensorBatches
from skmixup.vicinal.vicinity import Alpha, Vicinity


@documents_every_parameter(VicinalClassifier)
class VicinalRegressor(TargetNet, NeuralNetRegressor):
    r"""Neural network regressor that minimises a vicinal risk.

    It minimises :math:`\frac1m \sum_i w_i\, ℓ(f(\tilde x_i), \tilde y_i)` over virtual pairs
    drawn from a vicinity of the training pairs, for one or several numeric targets. Targets are
    standardised inside `fit`, and predictions are in their units. It is a
    :class:`skorch.NeuralNetRegressor` and keeps scikit-learn's contract.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        The network; its forward returns one number for each target, shape (n, n_targets) or for
        one target also (n,), in standard deviations from the mean, or a tuple with these first.
        None is the default for the data, as in :class:`VicinalClassifier`.
    criterion : torch loss class, instance or function, default=nn.MSELoss
        Of outputs and targets, (n, n_targets) both, standardised: nn.HuberLoss or nn.SmoothL1Loss
        where outliers are not to count as much, nn.L1Loss for the median, nn.GaussianNLLLoss for a
        mean, which is predicted, and a variance, or one of your own for a quantile. Of a tuple
        that a module returns the first is predicted; a criterion that takes all is given it.
    predict_nonlinearity : callable, "auto" or None, default="auto"
        From the module's outputs to predictions, both standardised; "auto" and None: as they are.
    max_epochs : int or "auto", default="auto"
        As in :class:`VicinalClassifier`, without a temperature; rows held out are judged by the
        criterion. If that is none of those above, or has arguments, "auto" is 32.
    **kwargs
        All other parameters are those of :class:`VicinalClassifier`.

    Attributes
    ----------
    n_features_in_ : int
        Columns of X (channels, for images).
    feature_names_in_ : ndarray of str
        Column names, where X has them.
    module_ : nn.Module
        The trained module; its outputs are standardised.
    history_ : skorch.history.History
        Losses are those of standardised targets.
    n_iter_ : int
        Epochs trained.
    n_epochs_ : int
        Epochs that the last `fit` was to train: `max_epochs`, or with "auto" what it found.
    loss_curve_ : list of float
        Mean loss of each epoch, on the virtual pairs.

    Notes
    -----
    In a mixed pair, λ·w_i weighs y_i and (1 − λ)·w_j weighs y_j: the virtual target is their
    weighted mean, which without `sample_weight` is λ y_i + (1 − λ) y_j.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmixup import VicinalRegressor
    >>> from skmixup.vicinal import Gaussian
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = VicinalRegressor(vicinity=Gaussian(0.005), random_state=0).fit(X, y)
    >>> bool(net.score(X, y) > 0.5)
    True
    """

    @overload
    def __init__(
        self,
        module: None = None,
        *,
        vicinity: Vicinity | None = ...,
        max_epochs: int | str = ...,
        **kwargs: Unpack[SharedParameters],
    ) -> None: ...

    @overload
    def __init__(self, module: Any, **kwargs: Any) -> None: ...

    def __init__(
        self,
        module: Any = None,
        *,
        vicinity: Vicinity | None = None,
        augment: Any = None,
        mix_epochs: float | None = None,
        random_state: Any = None,
        criterion: Any = nn.MSELoss,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))

    def get_vicinity(self) -> Vicinity:
        """Return `vicinity`, or Dirac for None."""
        return vicinity_or_dirac(self.vicinity)

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        epochs: int | None = None,
    ) -> Self:
        """Train from the start (with ``warm_start=True``: go on training).

        Parameters
        ----------
        X : array-like, DataFrame or Tensor of shape (n, n_features) or (n, channels, h, w)
            Or a torch Dataset that yields (input, target), with y=None or all its targets.
        y : array-like of shape (n,) or (n, n_targets)
            Numbers.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row in the loss. Rows of weight 0 might as well be absent.
        groups : array-like of shape (n,), default=None
            Groups of rows for `train_split`, which then holds out whole groups.
        epochs : int, default=None
            Epochs to train, instead of `max_epochs`.

        Returns
        -------
        self
        """
        fresh = not (self.warm_start and self.initialized_)
        with self._call(epochs=epochs, groups=groups, whole=True):
            return self._fit(X, y, sample_weight, fresh=fresh)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        epochs: int | None = None,
    ) -> Self:
        """Train `epochs`, or `max_epochs`, more epochs; the first call makes the module.

        The first call also sets the units: mean and standard deviation of its targets.

        Parameters
        ----------
        X, y, sample_weight, groups, epochs
            As in :meth:`fit`.

        Returns
        -------
        self
        """
        with self._call(epochs=epochs, groups=groups, whole=False):
            return self._fit(X, y, sample_weight, fresh=not self.initialized_)

    # ---- what scikit-learn's and skorch's checks ask for

    def check_data(self, X: Any, y: Any) -> None:
        """Nothing is left to check here, where skorch would: `fit` has done it."""

    @property
    def predict_proba(self) -> Any:
        """Not there, as check_regressors_no_decision_function asks; skorch's nets have it."""
        raise AttributeError(f"{type(self).__name__} predicts numbers, not probabilities")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags


@documents_every_parameter(VicinalRegressor)
class MixupRegressor(FlatMixup, VicinalRegressor):
    r"""Neural network regressor trained with mixup at the input.

    It trains on :math:`λ x_i + (1 − λ) x_j` with target :math:`λ y_i + (1 − λ) y_j`, where
    λ ~ Beta(α, α) and j is a row of the minibatch: any, or (C-Mixup) rather one with a similar
    target.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        As in :class:`VicinalRegressor`.
    alpha : float or pair of float, default=0.2
        Strength of the interpolation; 0 is empirical risk minimisation, exactly, and a pair (a, b)
        is Beta(a, b).
    mix_per : {"batch", "sample"}, default="batch"
        One λ for each minibatch, as in the papers, or for each pair.
    mix_prob : float in [0, 1], default=1.0
        Probability that a minibatch, or with ``mix_per="sample"`` a row, is mixed at all.
    pairing : {"uniform", "similar"}, default="uniform"
        How partners are drawn: all alike, or (C-Mixup) with probability
        :math:`∝ \exp(−\|y_i − y_j\|^2 / (2σ^2))`.
    bandwidth : float, default=1.0
        σ, in standard deviations of the targets, where ``pairing="similar"``.
    partners : {"batch", "all"}, default="batch"
        Where they are drawn from: the minibatch, or as in the paper all training rows, which at a
        hidden layer doubles the cost of a step.
    **kwargs
        All other parameters are those of :class:`VicinalRegressor`.

    See Also
    --------
    ManifoldMixupRegressor : mixes at a randomly drawn layer.

    References
    ----------
    Zhang, Cissé, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization. ICLR 2018,
    arXiv:1710.09412, equation (1).

    Yao, Wang, Zhang, Zou, Finn: C-Mixup: Improving Generalization in Regression. NeurIPS 2022,
    arXiv:2210.05775, equation (6).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmixup import MixupRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> MixupRegressor(pairing="similar", random_state=0).fit(X, y).predict(X[:2]).shape
    (2,)
    """

    @overload
    def __init__(
        self,
        module: None = None,
        *,
        alpha: Alpha = ...,
        mix_per: str = ...,
        mix_prob: float = ...,
        pairing: str = ...,
        bandwidth: float = ...,
        max_epochs: int | str = ...,
        partners: str = ...,
        **kwargs: Unpack[SharedParameters],
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
        pairing: str = "uniform",
        bandwidth: float = 1.0,
        partners: str = "batch",
        augment: Any = None,
        mix_epochs: float | None = None,
        random_state: Any = None,
        criterion: Any = nn.MSELoss,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))
        self._flatten_vicinity(kwargs)


@documents_every_parameter(MixupRegressor)
class ManifoldMixupRegressor(FlatManifoldMixup, MixupRegressor):
    r"""Neural network regressor trained with manifold mixup.

    For each minibatch a layer k is drawn from a set S; its output is mixed,
    :math:`f_k(λ g_k(x_i) + (1 − λ) g_k(x_j))`, and so are the targets.

    Parameters
    ----------
    layers : "auto", int, str or sequence of these, default="auto"
        The set S, as in :class:`ManifoldMixupClassifier`.
    block_gradient : {None, "below", "above"}, default=None
        As in :class:`ManifoldMixupClassifier`.
    **kwargs
        All other parameters are those of :class:`MixupRegressor`.

    References
    ----------
    Verma, Lamb, Beckham, Najafi, Mitliagkas, Lopez-Paz, Bengio: Manifold Mixup: Better
    Representations by Interpolating Hidden States. ICML 2019, arXiv:1806.05236, equation (1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmixup import ManifoldMixupRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ManifoldMixupRegressor(layers=[0, 1], random_state=0).fit(X, y).predict(X[:2]).shape
    (2,)
    """

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
        pairing: str = ...,
        bandwidth: float = ...,
        max_epochs: int | str = ...,
        partners: str = ...,
        **kwargs: Unpack[SharedParameters],
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
        pairing: str = "uniform",
        bandwidth: float = 1.0,
        partners: str = "batch",
        augment: Any = None,
        mix_epochs: float | None = None,
        random_state: Any = None,
        criterion: Any = nn.MSELoss,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))
