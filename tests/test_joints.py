"""Joint sets: what they refuse, the forms in which they are read, and the public sets."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from litehrnet.checkpoints import JOINT_SETS, JointSet, find_joints
from litehrnet.checkpoints.joints import mirror_pairs
from litehrnet.heatmaps import COCO_FLIP_PAIRS, COCO_NAMES, COCO_SIGMAS, COCO_SKELETON

FIVE = JointSet(
    ("head", "left hand", "right hand", "left foot", "right foot"),
    skeleton=((0, 1), (0, 2)),
    flip_pairs=((1, 2), (3, 4)),
    sigmas=(0.05, 0.06, 0.06, 0.08, 0.08),
)


def test_a_joint_set_cannot_change() -> None:
    lists = JointSet(["a", "b"], [[0, 1]], [[1, 0], [0, 1]], [1, 2])
    assert lists == JointSet(("a", "b"), ((0, 1),), ((0, 1),), (1.0, 2.0))
    assert hash(lists) == hash(JointSet(("a", "b"), ((0, 1),), ((0, 1),), (1.0, 2.0)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        lists.names = ("c",)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"names": ()}, "at least one joint's name"),
        ({"names": "nose"}, "list of at least one"),
        ({"names": ("a", 3)}, "must be text, got 3"),
        ({"names": ("a", " ")}, "must be text, got ' '"),
        ({"names": ("a", "b", "a")}, "two joints are named 'a'"),
        ({"skeleton": ((0, 5),)}, "skeleton number the joints from 0 to 4, got 5"),
        ({"skeleton": ((0, -1),)}, "from 0 to 4, got -1"),
        ({"skeleton": ((0, 1.0),)}, r"from 0 to 4, got 1\.0"),
        ({"skeleton": ((0, True),)}, "from 0 to 4, got True"),
        ({"skeleton": ((2, 2),)}, r"pair joint 2 \('right hand'\) with itself"),
        ({"skeleton": ((0, 1, 2),)}, "list of pairs"),
        ({"skeleton": 7}, "list of pairs"),
        ({"flip_pairs": ((1, 2), (2, 3))}, r"pair joint 2 \('right hand'\) with two others"),
        ({"flip_pairs": (("head", "tail"),)}, "'tail', which is not among"),
        ({"sigmas": (0.1,)}, "5 names but 1 sigmas"),
        ({"sigmas": (0.1, 0.1, 0.1, 0.1, 0.0)}, r"positive numbers such as 0\.05, got 0\.0"),
        ({"sigmas": (0.1, 0.1, float("nan"), 0.1, 0.1)}, "got nan"),
        ({"sigmas": "many"}, "list of numbers"),
        ({"sigmas": 0.1}, "list of numbers"),
    ],
)
def test_what_a_joint_set_refuses(parts: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(FIVE, **parts)


def test_own_form_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "five.json"
    for joints in (FIVE, dataclasses.replace(FIVE, sigmas=None), *JOINT_SETS.values()):
        path.write_text(json.dumps(joints.to_dict()))
        assert JointSet.from_json(path) == joints


def test_forms_of_other_tools() -> None:
    coco = {"keypoints": list(FIVE.names), "skeleton": [[1, 2], [1, 3]]}
    assert JointSet.from_dict(coco) == dataclasses.replace(FIVE, sigmas=None)
    file = {"images": [], "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person", **coco}]}
    assert JointSet.from_dict({**file}) == dataclasses.replace(FIVE, sigmas=None)
    assert JointSet.from_dict({**coco, "sigmas": FIVE.sigmas, "flip_pairs": [[2, 3], [5, 4]]}) == FIVE
    info = {
        "dataset_name": "five",
        "keypoint_info": {str(i): {"name": name, "id": i, "swap": ""} for i, name in enumerate(FIVE.names)},
        "skeleton_info": {0: {"link": ("head", "left hand")}, 1: {"link": ("head", "right hand")}},
        "sigmas": FIVE.sigmas,
    }
    for left, right in FIVE.flip_pairs:
        info["keypoint_info"][str(left)]["swap"] = FIVE.names[right]
        info["keypoint_info"][str(right)]["swap"] = FIVE.names[left]
    assert JointSet.from_dict(info) == FIVE
    meta = {
        "num_keypoints": 5,
        "keypoint_id2name": dict(enumerate(FIVE.names)),
        "flip_pairs": [(2, 1), (1, 2), (4, 3), (3, 4)],
        "skeleton_links": [(0, 1), (0, 2)],
        "sigmas": np.array(FIVE.sigmas, np.float32),
    }
    assert JointSet.from_dict(meta) == FIVE


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("3", "JSON object with names, got int"),
        ('"coco"', "got str"),
        ("{}", "it has nothing"),
        ('{"joints": 5, "bones": []}', "it has 'joints', 'bones'"),
        ("[]", "none of its categories has keypoints"),
        ('{"categories": [{"keypoints": ["a"]}, {"keypoints": ["b"], "name": "hand"}]}', r"\('\?', 'hand'\)"),
        ('{"keypoints": ["a", "b"], "skeleton": [[0, 1]]}', "number the joints from 1 to 2, got 0"),
        ('{"names": ["a", "b"], "skeleton": [[1, 2]]}', "number the joints from 0 to 1, got 2"),
        ('{"names": {"a": 1}}', "must be a list"),
        ('{"keypoint_info": {"1": {"name": "a"}}}', "from 0 on"),
        ('{"keypoint_info": {"x": {"name": "a"}}}', "got 'x'"),
        ('{"keypoint_info": ["a"]}', "got list"),
        ('{"keypoint_info": {"0": "a"}}', "object with a name"),
        ('{"keypoint_info": {"0": {"name": "a"}}, "skeleton_info": {"0": {}}}', "object with a link"),
        ('{"keypoint_info": {"0": {"name": "a"}}, "skeleton_info": 4}', "got int"),
        ('{"names": ["a"], "sigmas": [NaN]}', "got nan"),
        ("[" * 100_000, "is not JSON"),
        ("\udcff", "is not JSON"),
    ],
)
def test_files_that_describe_no_joints(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "joints.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=sentence) as caught:
        JointSet.from_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("left_eye", "right_eye"), ("L_Eye", "R_Eye"), ("eye.l", "eye.r"), ("lEye", "rEye"), ("EyeL", "EyeR"),
        ("LeftEye", "RightEye"), ("righteye", "lefteye"), ("right left eye", "left right eye"), ("eye 3 R", "eye 3 L"),
    ],
)  # fmt: skip
def test_mirror_pairs_are_inferred(names: tuple[str, str]) -> None:
    assert mirror_pairs(["nose", *names, "bright spot", "lid", "left alone"]) == ((1, 2),)


def test_find_joints_by_name_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_joints("mpii") is JOINT_SETS["mpii"]
    Path("mpii").write_text(json.dumps(FIVE.to_dict()))
    assert find_joints("mpii") == FIVE
    with pytest.raises(ValueError, match="no joints named 'hands', and no such file; there are coco, "):
        find_joints("hands")


def test_the_public_sets() -> None:
    assert {name: len(joints) for name, joints in JOINT_SETS.items()} == {
        "coco": 17, "mpii": 16, "aic": 14, "coco_wholebody": 133, "coco_wholebody_hand": 21, "coco_wholebody_face": 68,
    }  # fmt: skip
    coco, body, hand = JOINT_SETS["coco"], JOINT_SETS["coco_wholebody"], JOINT_SETS["coco_wholebody_hand"]
    assert coco == JointSet(COCO_NAMES, COCO_SKELETON, COCO_FLIP_PAIRS, COCO_SIGMAS)
    assert (len(body.skeleton), len(hand.skeleton), len(JOINT_SETS["mpii"].skeleton)) == (65, 20, 15)
    assert (body.names[17], body.names[23], body.names[91], body.names[132]) == (
        "left big toe", "face 0", "left hand root", "right pinky finger 4",
    )  # fmt: skip
    assert (9, 92) in body.skeleton and (131, 132) in body.skeleton and (0, 17) in hand.skeleton
    for name, joints in JOINT_SETS.items():
        bones = {frozenset(bone) for bone in joints.skeleton}
        order = joints.mirrored
        assert bones == {frozenset(order[list(bone)].tolist()) for bone in joints.skeleton}, name
        sigmas = np.array(joints.sigmas)
        if name not in ("aic", "coco_wholebody", "coco_wholebody_face"):  # measured on each side by itself
            assert (sigmas == sigmas[order]).all()
        paired = {joint for pair in joints.flip_pairs for joint in pair}
        sided = {k for k, joint in enumerate(joints.names) if joint.startswith(("left", "right"))}
        assert sided <= paired


def test_joints_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom litehrnet.checkpoints import find_joints\nfind_joints('aic')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_figures_name_the_joints_that_there_are() -> None:
    """A hand's 21 maps are all drawn; they have the names that are given, and otherwise numbers, never COCO's."""
    pytest.importorskip("matplotlib")
    from litehrnet.course import draw

    crop, maps = np.zeros((64, 48, 3), np.uint8), np.random.default_rng(0).random((1, 21, 16, 12)).astype(np.float32)
    hand = JOINT_SETS["coco_wholebody_hand"]
    for joint_set, names in ((None, [f"joint {k}" for k in range(21)]), (hand, list(hand.names))):
        figure = draw.heatmap_gallery(crop, maps, joint_set)
        assert [axes.get_title().split("\n")[0] for axes in figure.axes if axes.get_title()] == names
    places = np.random.default_rng(1).random((21, 2)) * 40
    figure = draw.poses([("hand", crop, places)], "one hand")
    assert len(figure.axes[0].lines) == 21  # all joints, and no bones of another body
