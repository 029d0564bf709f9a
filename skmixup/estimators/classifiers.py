"""The classifier for any vicinity: a skorch net that keeps scikit-learn's contract."""

from collections.abc import Callable
from typing import Any, ClassVar, Self, Unpack, overload

import torch
from numpy.typing import ArrayLike
from skorch import NeuralNetClassifier

from skmixup.constraints import StrOptions
from skmixup.estimators.arguments import ClassifierParameters
from skmixup.estimators.classifier_prediction import PredictingNet
from skmixup.estimators.flat_vicinity import vicinity_or_dirac
from skmixup.estimators.parameters import passed_on
from skmixup.training.batches import ArrayDataset, TensorBatches
from skmixup.vicinal.vicinity import Vicinity


class VicinalClassifier(PredictingNet, NeuralNetClassifier):
    r"""Neural network classifier that minimises a vicinal risk.

    It minimises :math:`\frac1m \sum_i w_i\, ℓ(f(\tilde x_i), \tilde y_i)` over virtual pairs
    drawn from a vicinity of the training pairs. It is a :class:`skorch.NeuralNetClassifier`, so
    callbacks, ``module__…``, ``optimizer__…`` and ``save_params`` work, and it keeps
    scikit-learn's contract.

    Parameters
    ----------
    module : nn.Module class or instance, or None, default=None
        The network; its forward returns logits of shape (n, n_classes), or a tuple that begins
        with them. ``module__…`` are its arguments. An instance is copied, as are modules and
        tensors among its arguments and an instance as `criterion`. None chooses a network for the
        data: :class:`skmixup.networks.MLP`, which scales its inputs, for X of shape
        (n, n_features), and :class:`skmixup.networks.PreActResNet`, which scales channels, for X
        of shape (n, channels, height, width). A module made of k networks that each have a loss
        returns (n, n_classes, k) in training mode. If the module, or one inside it, has a method
        ``adapt_to_data(X)``, it is called once before training, with the training rows, or with
        what the inner module gets for them.
    vicinity : Vicinity, default=None
        One of :mod:`skmixup.vicinal`; None is :class:`~skmixup.vicinal.Dirac`, that is, empirical
        risk minimisation.
    augment : callable, nn.Module or None, default=None
        What is done to each minibatch in training before it is mixed: a function of a tensor
        (n, …) on the device that returns one of the same shape, for instance from
        :mod:`skmixup.augment`, torchvision or kornia, several in an nn.Sequential. It draws from
        the fit's randomness, is called once a step and not trained. Neither predictions nor what
        callbacks see is augmented.
    mix_epochs : int, float or None, default=None
        Draw from the vicinity only during the first `mix_epochs` epochs (int), or that fraction of
        `max_epochs` (float in [0, 1]), and train on clean pairs afterwards. None: in all epochs.
        Very long training with mixup hurts on small data; turning it off late helps.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, as in scikit-learn; a dict must have every class. It multiplies
        `sample_weight`; "balanced" makes the sum of both the same for every class.
    random_state : int, RandomState or None, default=None
        Source of all randomness: initial weights, order of rows, dropout, vicinity. With the
        same int on the same machine, predictions are bit-identical on CPU. Global random states
        are never changed.
    criterion : "auto", or torch loss class, instance or function, default="auto"
        "auto" is CrossEntropyLoss, and BCEWithLogitsLoss for several labels per row.
        ``criterion__label_smoothing``, ``criterion__weight``, … are its arguments. It gets logits
        and class codes; NLLLoss gets log-probabilities, and losses such as BCEWithLogitsLoss get
        one-hot labels. A loss of your own returns one number, or the loss of each row if its
        attribute ``reduction`` is set to "none", which weights and ``mix_per="sample"`` need.
    optimizer : torch optimizer class, default=torch.optim.AdamW
        Its fused kernel is used where it has one for the device; ``optimizer__fused=False``
        turns that off.
    lr : float, default=0.003
        Learning rate at its highest. Training that goes on from a loaded optimizer starts at this
        rate again, not at the one it had fallen to.
    lr_schedule : str, callable or None, default="auto"
        How the learning rate moves over the steps of each call of `fit` or `partial_fit`:
        "cosine" falls to 0, "one_cycle" rises during the first 0.3 of the steps and then falls,
        "warmup_cosine" rises during the first 0.05, "steps" is divided by ten after half and
        again after three quarters of the steps, and None does not move. A function gets the share
        of the steps that are over, in [0, 1), and returns what `lr` is multiplied by. "auto" is
        "cosine", but None beside skorch's callbacks LRScheduler, which moves the rate itself, and
        EarlyStopping, with which the last epoch is not known.
    ema_decay : float in [0, 1), default=0.0
        Decay d of an exponential moving average of the weights, θ' ← d θ' + (1 − d) θ after each
        step, with which predictions and validation scores are made and which is saved; after t
        steps at most (1 + t)/(10 + t), so that a short training is not averaged with its own
        beginning. 0: none. Usual are 0.99 to 0.9999, the larger the more steps there are.
    max_epochs : int or "auto", default="auto"
        Epochs of each call of `fit` or `partial_fit`. "auto": where `fit` trains the default
        network for tables on arrays, 100 rows at least, it first trains it on four fifths of the
        rows, or two thirds where they are few. What it predicts for the rows held out says how
        many epochs are enough, 48 at most, and by which temperature its logits are to be divided;
        then it is trained on all rows, as with the stated number of them. All takes half to three
        times as long as 32 epochs do. Everywhere else "auto" is 32: in `partial_fit`, for data
        sets, images and several labels per row, with a module, criterion, order of rows,
        ``callbacks``, ``train_split``, ``warm_start``, ``compile`` or class of your own.
    batch_size : int or "auto", default="auto"
        Rows in a minibatch. "auto" is a power of two: the one nearest to n/32, within 16 and 64,
        and from 8192 rows on the one nearest to n/128, at most 256. -1 is all rows.
    iterator_train : class
        How rows become minibatches in training. The default gathers whole tensors.
        ``iterator_train__…`` arguments that belong to torch's DataLoader (``num_workers``,
        ``sampler``, …) select it, as does a data set of your own.
    iterator_valid : class
        The same for validation and prediction.
    dataset : class
        Data set that arrays X and y become. The default keeps them whole in memory.
    train_split : float, callable or None, default=None
        Holds out rows for validation: a fraction of every class (where `fit` gets `groups`, of the
        groups), or as in skorch ``ValidSplit(…)`` or ``predefined_split(data set)``. None holds
        out none.
    callbacks : list, "disable" or None, default=None
        skorch callbacks; they see your labels, and outputs for rows that are not mixed.
    predict_nonlinearity : callable, "auto" or None, default="auto"
        Makes probabilities of the module's outputs. "auto" chooses it by the criterion, for
        instance the softmax for cross-entropy; for a criterion that is not torch's, outputs that
        are probabilities stay as they are, and others go through the softmax.
    warm_start : bool, default=False
        Whether `fit` goes on training the module that it has, instead of making a new one.
    verbose : int, default=0
        1 prints a line for each epoch.
    device : "auto", str or torch.device, default="auto"
        "auto": CUDA, else MPS, else CPU. A fitted estimator unpickles also where its device is
        missing.
    compile : bool, default=False
        Whether the module is compiled, by ``torch.compile`` with the arguments ``compile__…``.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What layers compute in, by torch's autocast; weights, labels and losses stay float32.
        "bfloat16" is 16 bits: on images about twice as fast, with probabilities that differ in
        the second decimal. On a CUDA device without bfloat16 (before compute capability 8) it is
        float16 with a scaled loss. "auto" is bfloat16 for modules with convolutions where the
        device has units for it (CUDA from compute capability 8, CPU with AVX512_BF16 or AMX), and
        float32 elsewhere.
    use_caching : bool or "auto", default="auto"
        Whether scores of an epoch reuse the outputs of its steps; "auto" asks each callback.
    torch_load_kwargs : dict or None, default=None
        Arguments of ``torch.load`` in `load_params`, which by default takes plain tensors only.
    classes : array-like or None, default=None
        All labels that there are, where y may lack some, or a data set does not list them.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; for several labels per row the numbers of the columns.
    multilabel_ : bool
        Whether y was several labels per row.
    n_features_in_ : int
        Columns of X (channels, for images).
    feature_names_in_ : ndarray of str
        Column names, where X has them.
    input_shape_ : tuple of int
        Shape of one row of X. If X is a dict, a dict of shapes; there is no `n_features_in_` then.
    module_ : nn.Module
        The trained module; where `ema_decay` is not 0, the average.
    student_ : nn.Module
        Only where `ema_decay` is not 0: the network that the optimizer moves. A checkpoint saves
        it with ``Checkpoint(f_student="student.pt")``; without, training goes on from the average.
    history_ : skorch.history.History
    n_iter_ : int
        Epochs trained.
    n_epochs_ : int
        Epochs that the last `fit` was to train: `max_epochs`, or with "auto" what it found.
    temperature_ : float
        What the logits are divided by, as found with ``max_epochs="auto"``, else 1. It is in the
        default network, and saved with it: probabilities are as modest or bold as was right for
        rows held out. Training is without it.
    loss_curve_ : list of float
        Mean loss of each epoch, on the virtual pairs.

    Notes
    -----
    In `fit` the product of `sample_weight` and `class_weight` is divided by its mean over the
    training rows; in `partial_fit`, which sees a part of the rows, it is used as it is. In a mixed
    pair label y_i has the weight λ·w_i and label y_j the weight (1 − λ)·w_j; the sum over a
    minibatch is divided by its number of rows.

    References
    ----------
    Chapelle, Weston, Bottou, Vapnik: Vicinal risk minimization. NIPS 13 (2000).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmixup import VicinalClassifier
    >>> from skmixup.vicinal import Gaussian
    >>> X, y = load_iris(return_X_y=True)
    >>> net = VicinalClassifier(vicinity=Gaussian(0.2), random_state=0)
    >>> clf = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **PredictingNet._parameter_constraints,
        "class_weight": [None, dict, StrOptions({"balanced"})],
        "criterion": [StrOptions({"auto"}), callable],
    }

    vicinity: Vicinity | None
    mix_epochs: float | None
    class_weight: Any
    random_state: Any
    lr_schedule: str | Callable[[float], float] | None

    @overload
    def __init__(
        self,
        module: None = None,
        *,
        vicinity: Vicinity | None = ...,
        **kwargs: Unpack[ClassifierParameters],
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

    def get_vicinity(self) -> Vicinity:
        """Return `vicinity`, or Dirac for None."""
        return vicinity_or_dirac(self.vicinity)

    # ---- fit

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
            Arrays become float32; images of uint8 do so batch by batch. Or a torch Dataset that
            yields pairs (input, label), with ``y=None``; its integers stay integers if
            the module takes them.
        y : array-like of shape (n,), (n, n_labels) or (n, n_classes)
            Class labels: strings, booleans or integers. Or several labels per row: a matrix (dense
            or scipy sparse) of zeros and ones, a column for each label. Or soft labels:
            probabilities whose rows sum to one, with columns in the order of `classes` (None: 0,
            1, …); zeros and ones are read so where `classes` is given.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row in the loss. Rows of weight 0 might as well be absent.
        groups : array-like of shape (n,), default=None
            Groups of rows for `train_split`, or ``max_epochs="auto"``, which then hold out whole
            groups.
        epochs : int, default=None
            Epochs to train, instead of `max_epochs`.

        Returns
        -------
        self
        """
        fresh = not (self.warm_start and self.initialized_)
        with self._call(epochs=epochs, groups=groups, whole=True):
            return self._fit(X, y, sample_weight, classes=None, fresh=fresh)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        epochs: int | None = None,
    ) -> Self:
        """Train `epochs`, or `max_epochs`, more epochs; the first call makes the module.

        After a call that was cut off at the end of an epoch, for instance by Ctrl-C, a call with
        `epochs` as many as were left gives the same result as if it had not been; what is left of
        an epoch that was cut off in the middle begins anew. Where training diverges, as with a
        part that holds a wild row, it is a ValueError, and the network is as it was before the
        call: leave the part out, or lower `lr`.

        Parameters
        ----------
        X, y, sample_weight, groups, epochs
            As in :meth:`fit`.
        classes : array-like, default=None
            All labels that later calls will bring; needed in the first call unless its y has
            every one of them.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not possible with partial_fit, which does not see all "
                "rows at once; pass a dict from sklearn.utils.class_weight.compute_class_weight"
            )
        with self._call(epochs=epochs, groups=groups, whole=False):
            fresh = not self.initialized_
            return self._fit(X, y, sample_weight, classes=classes, fresh=fresh)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
