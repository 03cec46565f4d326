"""Models by name: the networks of `litehrnet.VARIANTS`, untrained or with named weights."""

from __future__ import annotations

import fnmatch

from .checkpoints import BUNDLED, PUBLIC, load_pretrained
from .checks import check_choice
from .model import VARIANTS, LiteHRNet, set_pooling
from .pooling import check_pooling

__all__ = ["create_model", "list_models"]


def create_model(
    name: str,
    num_joints: int | None = None,
    pooling: str = "adaptive",
    *,
    pretrained: bool | str = False,
) -> LiteHRNet:
    """A network in eval mode; call `model.train()` before you train it.

    Args:
        name: a key of `VARIANTS`; `list_models` lists them.
        num_joints: number of heatmaps. By default as many as the weights have, or 17, as in COCO, if there are no
            weights. With any other number, the head is new and has to be trained.
        pooling: "adaptive" (the paper's code), "computed" (plain average pooling, kernel and stride computed) or
            "exact" (averaging matrices).
        pretrained: False for random weights, True for those that come with the package, or a name that
            `load_pretrained` takes, such as "litehrnet30_coco_256x192".

    Raises:
        ValueError: the name, the number of joints, the pooling or the weights are unknown, there are no weights of this
            network in the package, or the weights belong to another network.
        ConnectionError: the weights could not be downloaded.

    Warns:
        CheckpointNote: the head is new.

    >>> model = create_model("litehrnet18", pretrained=True)
    >>> model.num_joints, model.joints.names[0], model.training
    (17, 'nose', False)
    """
    check_choice("variant", name, VARIANTS)
    check_pooling(pooling)
    if pretrained is False:
        return LiteHRNet(VARIANTS[name], 17 if num_joints is None else num_joints, pooling).eval()
    if pretrained is True and name not in BUNDLED:
        raise ValueError(
            f"no weights of {name} come with the package, so pretrained=True has none to load; give the name of public "
            f"weights, one of {', '.join(map(repr, PUBLIC))}, or use from_checkpoint with a file of your own"
        )
    weights = name if pretrained is True else pretrained
    model = load_pretrained(weights, num_joints)
    if model.variant.name != name:
        raise ValueError(f"the weights {weights!r} belong to {model.variant.name}, not to {name}")
    return set_pooling(model, pooling)


def list_models(pattern: str = "*") -> list[str]:
    """Names that `create_model` takes and that match a shell pattern, in the order of `VARIANTS`.

    >>> list_models("lite*")
    ['litehrnet18', 'litehrnet30']
    """
    return [name for name in VARIANTS if fnmatch.fnmatchcase(name, pattern)]
