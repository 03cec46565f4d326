"""Write checkpoints as the trainers in the field really write them; run in a process of its own.

The trainers are not installed: their classes are defined here under their own names, with the fields and the pickling
of the real ones, so that what is in the file is what they would put there.

    python tests/trainer_files.py weights.pth folder
"""

from __future__ import annotations

import argparse
import collections
import copy
import datetime
import enum
import pathlib
import sys
import types
import uuid
from pathlib import Path

import numpy as np
import torch

HAND = [
    "wrist",
    *(f"{finger}{part}" for finger in ("thumb", "fore", "middle", "ring", "pinky") for part in range(1, 5)),
]


def under(module: str, *classes: type) -> None:
    """Define classes as if they were those of an installed module."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        sys.modules.setdefault(name, types.ModuleType(name))
    for cls in classes:
        cls.__module__, cls.__qualname__ = module, cls.__name__
        for value in vars(cls).values():
            if isinstance(value, types.FunctionType):
                value.__module__, value.__qualname__ = module, f"{cls.__name__}.{value.__name__}"
        setattr(sys.modules[module], cls.__name__, cls)


class HistoryBuffer:
    """mmengine's record of a loss; its methods are part of its state."""

    def __init__(self, values: list[float]) -> None:
        self.max_length = 1_000_000
        self._log_history = np.array(values)
        self._count_history = np.array([1] * len(values))

    def mean(self) -> float:
        return float(self._log_history.mean())

    def current(self) -> float:
        return float(self._log_history[-1])

    def __getstate__(self) -> dict:
        methods = {"mean": HistoryBuffer.mean, "current": HistoryBuffer.current}
        return {**self.__dict__, "statistics_methods": methods}


class ConfigDict(dict):
    """mmengine's configuration, which is called with a dict when it is read."""

    def __reduce_ex__(self, protocol: int) -> tuple:
        return (self.__class__, (dict(self),), None, None, None)


class Dict(dict):
    """addict's dictionary, whose state is itself."""

    def __getstate__(self) -> dict:
        return self

    def __setstate__(self, state: dict) -> None:
        self.update(state)


class DictConfig:
    """OmegaConf's configuration: a tree of nodes with metadata."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(_metadata=ContainerMetadata(), _parent=None, _content=values)

    def __getstate__(self) -> dict:
        return dict(self.__dict__)


class ContainerMetadata:
    def __init__(self) -> None:
        self.ref_type, self.object_type, self.optional = object, dict, True


class Kind(enum.Enum):
    FIRST = 1


def dataset_meta(count: int = 21) -> dict:
    """What mmpose 1.x makes of a data set's description."""
    names = HAND[:count]
    return {
        "dataset_name": "my_hand",
        "num_keypoints": count,
        "keypoint_id2name": dict(enumerate(names)),
        "keypoint_name2id": {name: i for i, name in enumerate(names)},
        "upper_body_ids": [],
        "lower_body_ids": [],
        "flip_indices": list(range(count)),
        "flip_pairs": [],
        "keypoint_colors": np.zeros((count, 3), np.uint8),
        "num_skeleton_links": 2,
        "skeleton_links": [(0, 1), (1, 2)],
        "skeleton_link_colors": np.zeros((2, 3), np.uint8),
        "dataset_keypoint_weights": np.ones(count, np.float32),
        "sigmas": np.full(count, 0.026, np.float32),
    }


CFG_1 = """codec = dict(
    heatmap_size=(
        56,
        72,
    ), input_size=(
        224,
        288,
    ), sigma=2, type='MSRAHeatmap')
train_pipeline = [dict(input_size=(224, 288), type='TopdownAffine')]
"""

CFG_0 = """log_level = 'INFO'
data_cfg = dict(
    image_size=[160, 224],
    heatmap_size=[40, 56],
    num_joints=21)
data = dict(
    samples_per_gpu=64,
    train=dict(
        type='HandCocoWholeBodyDataset',
        ann_file=f'{root}/train.json',
        dataset_info=dict(
            dataset_name='hand',
            keypoint_info=dict({
JOINTS
            }),
            skeleton_info=dict({
                0: dict(link=('wrist', 'thumb1'), id=0, color=[255, 128, 0])
            }),
            joint_weights=[1.0],
            sigmas=[SIGMAS])))
"""
CFG_0 = CFG_0.replace("JOINTS", ",\n".join(f"{i}: dict(name='{name}', id={i}, swap='')" for i, name in enumerate(HAND)))
CFG_0 = CFG_0.replace("SIGMAS", ", ".join(["0.03"] * len(HAND)))


def optimizer_state(state: dict) -> dict:
    """AdamW's, after a step."""
    weights = [torch.nn.Parameter(value.clone()) for value in list(state.values())[:3] if value.is_floating_point()]
    optimizer = torch.optim.AdamW(weights)
    sum((weight**2).sum() for weight in weights).backward()
    optimizer.step()
    return optimizer.state_dict()


def prefixed(state: dict, prefix: str, head: str = "head.") -> collections.OrderedDict:
    pairs = ((head + key[5:] if key.startswith("head.") else key, value) for key, value in state.items())
    return collections.OrderedDict((prefix + key, value) for key, value in pairs)


def checkpoints(state: dict) -> dict[str, object]:
    """File name to what is saved under it; all hold the same weights, and others where there is a choice."""
    other = {key: value + 1 if value.is_floating_point() else value for key, value in state.items()}
    backbone = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    mmengine = {
        "meta": {
            "epoch": 210, "iter": 1000, "cfg": CFG_1, "seed": np.int64(21), "experiment_name": "hand_20260101",
            "time": "20260101_000000", "mmengine_version": "0.10.7", "dataset_meta": dataset_meta(),
        },
        "state_dict": prefixed(state, ""),
        "message_hub": {
            "log_scalars": collections.OrderedDict({"train/loss": HistoryBuffer([0.5, 0.25])}),
            "runtime_info": collections.OrderedDict({"iter": 1000, "best": np.float32(0.7), "cfg": ConfigDict(a=1)}),
            "resumed_keys": collections.OrderedDict({"train/loss": True}),
        },
        "optimizer": {"base": optimizer_state(state)},
        "param_schedulers": [{"type": "LinearLR", "last_step": 500, "_global_step": 501, "verbose": False}],
    }  # fmt: skip
    ema_of_mmengine = copy.deepcopy(mmengine)
    ema_of_mmengine["ema_state_dict"] = {"steps": torch.tensor(7), **prefixed(other, "module.")}
    old = prefixed(state, "", "keypoint_head.")
    things = {
        "paths": [pathlib.Path("a/b"), pathlib.PurePosixPath("c"), pathlib.PureWindowsPath("d")],
        "when": [datetime.datetime(2026, 1, 2, 3, 4), datetime.date(2026, 1, 2), datetime.timedelta(3)],
        "zone": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
        "args": argparse.Namespace(lr=0.1, size=(256, 192), out=pathlib.Path("runs")),
        "space": types.SimpleNamespace(a=1),
        "id": uuid.UUID(int=5),
        "scalars": [np.float64(0.5), np.int32(3), np.bool_(True), np.str_("text"), np.datetime64("2026-01-01")],
        "arrays": [np.arange(3.0), np.array(["a", "b"]), np.array([1, "b"], object), np.zeros((0, 3), np.uint8)],
        "dtypes": [np.dtype("float16"), np.dtype([("x", "f4")])],
        "sets": [{1, 2}, frozenset({3}), collections.Counter("aab"), slice(1, 2), range(3), b"bytes", bytearray(b"x")],
        "queues": [collections.deque([1, 2], maxlen=5), collections.defaultdict(list, a=[1]), Dict(a=Dict(b=2))],
        "torch": [torch.Size([1, 2]), torch.float16, torch.device("cpu"), torch.Generator().get_state()],
    }
    averaged = copy.deepcopy(state)
    buffers = {key for key in state if ".running_" in key or key.endswith("num_batches_tracked")}
    return {
        "mmpose1.pth": mmengine,
        "mmpose1_ema.pth": ema_of_mmengine,
        "mmpose0.pth": {
            "meta": {"mmpose_version": "0.21.0", "config": CFG_0, "epoch": 210, "time": "Thu Jun 1", "seed": None},
            "state_dict": old,
            "optimizer": optimizer_state(state),
        },
        "mmcv_ema.pth": {
            "meta": {},
            "state_dict": {**old, **{"ema_" + key.replace(".", "_"): value for key, value in other.items()}},
        },
        "lightning_model.ckpt": {
            "epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.5.1", "loops": {"fit_loop": {"state": {}}},
            "state_dict": {**prefixed(state, "model."), "loss.weight": torch.ones(3), "val_pck.total": torch.tensor(1)},
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "dirpath": pathlib.Path("runs")}},
            "optimizer_states": [optimizer_state(state)], "lr_schedulers": [],
            "hyper_parameters": {"lr": 0.1, "config": DictConfig(lr=0.1), "args": argparse.Namespace(a=1)},
        },
        "lightning_net.ckpt": {"state_dict": prefixed(state, "net._orig_mod.", "keypoint_head.")},
        "lightning_parts.ckpt": {
            "state_dict": {**prefixed(backbone, "net."), **{k: v for k, v in state.items() if k.startswith("head.")}}
        },
        "timm.pth": {"state_dict": other, "state_dict_ema": state, "args": argparse.Namespace(model="litehrnet")},
        "model_ema.pth": {"model": other, "model_ema": {"module": state, "updates": 9}},
        "shadow.pth": {
            "model": {key: state[key] if key in buffers else value for key, value in other.items()},
            "ema": {"decay": 0.99, "shadow": {key: value for key, value in state.items() if key not in buffers}},
        },
        "ema_only.pth": {"model_ema": state, "epoch": 1},
        "ema_prefix.pth": {**prefixed(other, "net."), **prefixed(state, "ema.module.")},
        "averaged_model.pth": {"n_averaged": torch.tensor(4), **prefixed(averaged, "module.")},
        "swa_model.pt": {"model_state_dict": other, "swa_model_state_dict": prefixed(averaged, "module.")},
        "model_state_dict.pth": {"model_state_dict": state, "optimizer_state_dict": optimizer_state(state)},
        "net.pth": {"net": prefixed(state, "module."), "acc": 0.9},
        "network.pth": {"network": state},
        "deep.pth": {"checkpoint": {"trainer": {"weights": state}}},
        "compiled_backbone.pth": {key.replace("backbone.", "backbone._orig_mod."): v for key, v in state.items()},
        "flat.pth": {**backbone, **{k.removeprefix("head."): v for k, v in state.items() if k.startswith("head.")}},
        "numpy.pth": {key: value.numpy() for key, value in state.items()},
        "parameters.pth": {
            key: torch.nn.Parameter(value, requires_grad=value.is_floating_point()) if value.ndim else value
            for key, value in state.items()
        },
        "things.pth": {"state_dict": state, "things": things, "optimizer": optimizer_state(state)},
        # What must be refused, or asked about:
        "backbone.pth": backbone,
        "backbone_in_lightning.ckpt": {"state_dict": prefixed(backbone, "model.encoder.")},
        "two.pth": {"student": state, "teacher": other},
        "unknown.pth": {"state_dict": state, "kind": Kind.FIRST},
        "wrong_meta.pth": {"state_dict": state, "meta": {"dataset_meta": dataset_meta(17)}},
        "odd_meta.pth": {"state_dict": state, "meta": {"dataset_meta": {"keypoint_id2name": {0: 3}}, "cfg": "a = ("}},
    }  # fmt: skip


def main(weights: Path, folder: Path) -> None:
    """Write all of them."""
    under("mmengine.logging.history_buffer", HistoryBuffer)
    under("mmengine.config.config", ConfigDict)
    under("addict.addict", Dict)
    under("omegaconf.dictconfig", DictConfig)
    under("omegaconf.base", ContainerMetadata)
    under("somebody.trainer", Kind)
    state = torch.load(weights, weights_only=True)
    for name, held in checkpoints(state).items():
        torch.save(held, folder / name)
    torch.save(checkpoints(state)["mmpose1.pth"], folder / "mmpose1_older.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
