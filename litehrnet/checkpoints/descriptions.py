"""What a checkpoint says about itself besides the weights: its joints, and the size that it was trained at.

mmpose 1.x stores the joints as `dataset_meta` and its configuration as text; mmpose 0.x and the official repository
store only the text, which includes the joints; `save_weights` stores both as metadata. The text is Python source. It is
parsed, never run.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..sizes import check_size
from .joints import JointSet
from .reading import Contents

__all__ = ["Description", "describe"]

_TEXT_LIMIT = 4_000_000  # characters of a configuration; mmpose's have about ten thousand
_SIZE = re.compile(r"\b(?:image_size|input_size)\s*=\s*[\[(]\s*(\d+)\s*,\s*(\d+)\s*[\])]")  # width before height


class Description(NamedTuple):
    """What a checkpoint says about itself.

    Attributes:
        joints: the joints that its heatmaps show, or None if unknown.
        trained_size: height and width, or None if unknown.
        notes: descriptions that were not understood.
    """

    joints: JointSet | None
    trained_size: tuple[int, int] | None
    notes: list[str]


def describe(contents: Contents, path: Path) -> Description:
    """Collect what a checkpoint says about itself; anything missing or ambiguous is None."""
    held = contents.held if isinstance(contents.held, Mapping) else {}
    meta: object = held.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    text = next((meta[name] for name in ("cfg", "config") if isinstance(meta.get(name), str)), "")[:_TEXT_LIMIT]
    described: JointSet | None = None
    notes: list[str] = []
    try:
        if "joint_set" in contents.metadata:
            described = JointSet.from_dict(json.loads(contents.metadata["joint_set"]))
        elif isinstance(meta.get("dataset_meta"), Mapping):
            described = JointSet.from_dict(meta["dataset_meta"])
        elif "dataset_info" in text:
            described = _joints_of_text(text)
    except (ValueError, RecursionError) as error:  # ValueError: also text that is not JSON
        notes.append(f"the joints that {path} describes are not understood: {error}")
    return Description(described, _size(contents.metadata, held, text), notes)


def _size(metadata: Mapping[str, str], held: Mapping[Any, Any], text: str) -> tuple[int, int] | None:
    """Height and width, from wherever the checkpoint keeps them, if they are legal and unambiguous."""
    recipe = held.get("recipe")
    if "size" in metadata:  # our own files
        found: set[tuple[str, ...]] = {tuple(metadata["size"].lower().split("x"))}
    elif isinstance(recipe, Mapping):  # the state of our own trainer
        found = {tuple(recipe["size"])} if isinstance(recipe.get("size"), (list, tuple)) else set()
    else:
        found = {(height, width) for width, height in _SIZE.findall(text)}
    if len(found) != 1:
        return None
    try:
        return check_size([int(side) for side in found.pop()])
    except (TypeError, ValueError):  # the size of another network, or of something else
        return None


def _joints_of_text(text: str) -> JointSet | None:
    """The joints of a configuration: the value of `dataset_info`, wherever it is assigned or passed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError):  # not Python, or nested too deeply
        return None
    for node in ast.walk(tree):
        names: list[object] = []
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.keyword):
            names = [node.arg]
        info = _literal(node.value) if "dataset_info" in names else None  # type: ignore[attr-defined]
        if isinstance(info, dict) and "keypoint_info" in info:
            return JointSet.from_dict(info)
    return None


def _literal(node: ast.expr) -> object:
    """The value of source code made only of constants, lists, tuples and dicts, `dict(...)` included; else None."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(element) for element in node.elts]
    if isinstance(node, ast.Dict):
        pairs = [(_literal(key), _literal(value)) for key, value in zip(node.keys, node.values, strict=True) if key]
        return {key: value for key, value in pairs if isinstance(key, (str, int))}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        merged: dict[object, object] = {}
        for argument in node.args:
            inner = _literal(argument)
            merged |= inner if isinstance(inner, dict) else {}
        return merged | {keyword.arg: _literal(keyword.value) for keyword in node.keywords if keyword.arg}
    return None
