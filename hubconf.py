"""Models for ``torch.hub.load``: networks by name, untrained or with weights that `litehrnet.load_pretrained` knows.

    model = torch.hub.load(REPOSITORY, "litehrnet18", pretrained=True)
    model = torch.hub.load(REPOSITORY, "litehrnet30", num_joints=21)

REPOSITORY is this repository's owner/name, or a checkout together with ``source="local"``. The arguments
are those of `litehrnet.create_model`.
"""

from litehrnet import LiteHRNet
from litehrnet import create_model as _create_model

dependencies = ["torch", "numpy", "PIL", "safetensors"]


def litehrnet18(pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive") -> LiteHRNet:
    """Lite-HRNet-18 in eval mode; with `pretrained` True, its weights are those that come with the package."""
    return _create_model("litehrnet18", num_joints, pooling, pretrained=pretrained)


def litehrnet30(pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive") -> LiteHRNet:
    """Lite-HRNet-30 in eval mode."""
    return _create_model("litehrnet30", num_joints, pooling, pretrained=pretrained)


def naive_litehrnet18(
    pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive"
) -> LiteHRNet:
    """The naive Lite-HRNet-18 in eval mode."""
    return _create_model("naive_litehrnet18", num_joints, pooling, pretrained=pretrained)


def wider_naive_litehrnet18(
    pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive"
) -> LiteHRNet:
    """The wider naive Lite-HRNet-18 in eval mode."""
    return _create_model("wider_naive_litehrnet18", num_joints, pooling, pretrained=pretrained)
