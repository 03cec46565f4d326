"""Models for ``torch.hub.load``: untrained networks by name, or the weights that `litehrnet.load_pretrained` knows.

    model = torch.hub.load(REPOSITORY, "litehrnet18", pretrained=True)
    model = torch.hub.load(REPOSITORY, "litehrnet30", num_joints=21)

REPOSITORY is this repository's owner/name, or a checkout together with ``source="local"``.
"""

from litehrnet import LiteHRNet
from litehrnet import create_model as _create_model
from litehrnet import load_pretrained as _load_pretrained
from litehrnet import set_pooling as _set_pooling

dependencies = ["torch", "numpy", "PIL", "safetensors"]


def _model(name: str, pretrained: bool | str, num_joints: int | None, pooling: str) -> LiteHRNet:
    if not pretrained:
        return _create_model(name, 17 if num_joints is None else num_joints, pooling)
    weights = name if pretrained is True else pretrained
    model = _load_pretrained(weights, num_joints)
    if model.variant.name != name:
        raise ValueError(f"the weights {weights!r} are those of {model.variant.name}, not of {name}")
    return _set_pooling(model, pooling)


def litehrnet18(pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive") -> LiteHRNet:
    """Lite-HRNet-18 in eval mode; `pretrained` is True (the bundled weights) or a name that `load_pretrained` takes."""
    return _model("litehrnet18", pretrained, num_joints, pooling)


def litehrnet30(pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive") -> LiteHRNet:
    """Lite-HRNet-30 in eval mode; `pretrained` is a name that `load_pretrained` takes."""
    return _model("litehrnet30", pretrained, num_joints, pooling)


def naive_litehrnet18(
    pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive"
) -> LiteHRNet:
    """The naive Lite-HRNet-18 in eval mode; `pretrained` is a name that `load_pretrained` takes."""
    return _model("naive_litehrnet18", pretrained, num_joints, pooling)


def wider_naive_litehrnet18(
    pretrained: bool | str = False, num_joints: int | None = None, pooling: str = "adaptive"
) -> LiteHRNet:
    """The wider naive Lite-HRNet-18 in eval mode; `pretrained` is a name that `load_pretrained` takes."""
    return _model("wider_naive_litehrnet18", pretrained, num_joints, pooling)
