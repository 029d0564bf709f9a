"""The default network for images."""

from collections.abc import Sequence

from torch import Tensor, nn

from skmixup.networks.scaling import ChannelScaling
from skmixup.networks.sizes import check_each, check_sizes


class PreActBlock(nn.Module):
    """Pre-activation residual block: x + conv(relu(bn(conv(relu(bn(x)))))).

    Parameters
    ----------
    in_channels, out_channels : int
    stride : int
        Of the first convolution; 2 halves height and width.

    Shape
    -----
    Input (n, in_channels, height, width), output (n, out_channels, height / stride,
    width / stride), rounded up.

    References
    ----------
    He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks. ECCV 2016, arXiv:1603.05027,
    figure 4e.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        # Modules, each used once: explainers such as SHAP's DeepExplainer see no functions.
        self.norm1, self.relu1 = nn.BatchNorm2d(in_channels), nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(out_channels), nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            if stride != 1 or in_channels != out_channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Output of the block."""
        activated = self.relu1(self.norm1(x))
        # As in the paper's code, a projection takes the activated input, the identity the raw one.
        skip = x if self.shortcut is None else self.shortcut(activated)
        return skip + self.conv2(self.relu2(self.norm2(self.conv1(activated))))


class PreActResNet(nn.Module):
    """Pre-activation ResNet for images of any size, from 1×1 up.

    Parameters
    ----------
    n_channels : int
        Channels of the input images.
    n_outputs : int
        Number of logits.
    depths : sequence of int, default=(1, 1, 1)
        Residual blocks in each stage; (2, 2, 2, 2) with ``width=64`` is PreAct ResNet-18. The
        default is small enough to train on a CPU.
    width : int, default=32
        Channels of the first stage. Each further stage halves the image's height and width and
        doubles the channels.
    scale_inputs : bool, default=True
        Whether channels are standardised (:class:`ChannelScaling`) by the training images that
        `fit` shows to :meth:`adapt_to_data`, so that pixels may come as 0 … 255 or as 0 … 1.

    Shape
    -----
    Input (n, n_channels, height, width), output (n, n_outputs).

    Attributes
    ----------
    stages : nn.Sequential
        Layer k of manifold mixup is the output of the k-th stage: whole residual blocks, after the
        sum, since mixing inside one would leave its shortcut unmixed.

    References
    ----------
    He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks. ECCV 2016, arXiv:1603.05027.

    Examples
    --------
    >>> import torch
    >>> from skmixup.networks import PreActResNet
    >>> PreActResNet(1, 10, width=8)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        *,
        depths: Sequence[int] = (1, 1, 1),
        width: int = 32,
        scale_inputs: bool = True,
    ):
        super().__init__()
        check_each(n_channels=n_channels, n_outputs=n_outputs, width=width)
        check_sizes("depths", depths)
        self.scaling = ChannelScaling(n_channels) if scale_inputs else nn.Identity()
        self.stem = nn.Conv2d(n_channels, width, 3, padding=1, bias=False)
        self.stages = nn.Sequential()
        channels = width
        for i, depth in enumerate(depths):
            stage = nn.Sequential()
            for j in range(depth):
                out_channels = width * 2**i
                stage.append(PreActBlock(channels, out_channels, 2 if i > 0 and j == 0 else 1))
                channels = out_channels
            self.stages.append(stage)
        self.norm, self.relu = nn.BatchNorm2d(channels), nn.ReLU()
        self.head = nn.Linear(channels, n_outputs)
        self.mixup_layers = [f"stages.{i}" for i in range(len(self.stages))]

    def adapt_to_data(self, X: Tensor) -> None:
        """Fit the scaling of the channels to training images `X`."""
        if isinstance(self.scaling, ChannelScaling):
            self.scaling.adapt_to_data(X)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (n, n_outputs)."""
        h = self.relu(self.norm(self.stages(self.stem(self.scaling(x)))))
        return self.head(h.mean(dim=(2, 3)))
