"""
Somebody else's network is fine-tuned and mixed between its stages, by name
===========================================================================

The backbone is timm's ResNet-10 where timm is installed (``pip install timm``), and otherwise one
written below with the same names of layers. Its stem and first stage are frozen, the head learns
ten times as fast as the rest, layers are mixed at by name, and an average of the weights predicts.
Pass ``pretrained=True`` to `create_model` to begin from weights of ImageNet, which are downloaded.
Run with ``python examples/pretrained_backbone.py``.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from skmixup import ManifoldMixupClassifier
from skmixup.augment import RandomCrop


class Block(nn.Module):
    """A residual block: two convolutions and what goes past them."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n_in, n_out, 3, stride, 1), nn.BatchNorm2d(n_out)
        self.conv2, self.bn2 = nn.Conv2d(n_out, n_out, 3, 1, 1), nn.BatchNorm2d(n_out)
        self.downsample = nn.Conv2d(n_in, n_out, 1, stride)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.downsample(x) + self.bn2(self.conv2(h)))


class SmallResNet(nn.Module):
    """A stem of two convolutions, four stages and a head, named as in torchvision and timm."""

    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1))
        self.bn1 = nn.BatchNorm2d(8)
        widths = [8, 8, 16, 32, 64]
        for k in range(1, 5):
            stage = nn.Sequential(Block(widths[k - 1], widths[k], 1 if k == 1 else 2))
            setattr(self, f"layer{k}", stage)
        self.fc = nn.Linear(64, n_classes)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        for k in range(1, 5):
            h = getattr(self, f"layer{k}")(h)
        return self.fc(h.mean(dim=(2, 3)))


def backbone():
    try:
        import timm

        return timm.create_model("resnet10t", pretrained=False, in_chans=1, num_classes=10)
    except ImportError:
        return SmallResNet(10)


class PartlyFrozen(nn.Module):
    """A backbone whose first parts stay as they are, statistics of BatchNorm included."""

    FROZEN = ("conv1", "bn1", "layer1")

    def __init__(self):
        super().__init__()
        self.backbone = backbone()
        for name in self.FROZEN:
            getattr(self.backbone, name).requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        for name in self.FROZEN:
            getattr(self.backbone, name).eval()
        return self

    def forward(self, x):
        return self.backbone(x)


def main():
    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
    X = F.interpolate(X, size=(16, 16), mode="bilinear").numpy()
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=600, random_state=0)
    clf = ManifoldMixupClassifier(
        PartlyFrozen,
        alpha=1.0,
        layers=["backbone.layer2", "backbone.layer3"],  # "auto" would take layer1 and layer2
        augment=RandomCrop(padding=1, fill=-1.0),
        ema_decay=0.95,
        lr=2e-3,
        optimizer__param_groups=[
            ("backbone.fc.*", {"lr": 2e-2}),
            ("*.bias", {"weight_decay": 0.0}),
        ],
        max_epochs=6,
        batch_size=32,
        random_state=0,
    ).fit(X_train, y_train)
    trained = sum(p.numel() for p in clf.module_.parameters() if p.requires_grad)
    everything = sum(p.numel() for p in clf.module_.parameters())
    print(f"{trained} of {everything} weights trained, accuracy {clf.score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main()
