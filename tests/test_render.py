"""training/render_people.py: poses, rasteriser, held-out pictures, and that a picture depends on its seed alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bounds import same, within
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
HELDOUT = ROOT / "data" / "heldout"

from rendering import poses  # noqa: E402


def test_key_poses_lie_within_the_joints_limits() -> None:
    assert len(poses.KEY_POSES) >= 60
    for name, angles in poses.KEY_POSES.items():
        outside = [
            a
            for a, v, low, high in zip(poses.ANGLES, angles, poses.LOW, poses.HIGH, strict=True)
            if not low <= v <= high
        ]
        assert not outside, f"{name}: {outside}"


def test_sampled_poses_depend_on_the_seed_and_keep_the_limits() -> None:
    drawn = [poses.sample_pose(np.random.default_rng(seed)) for seed in range(200)]
    again = [poses.sample_pose(np.random.default_rng(seed)) for seed in range(200)]
    for (angles, family), (other, other_family) in zip(drawn, again, strict=True):
        assert family == other_family
        np.testing.assert_array_equal(angles, other)
        assert (angles >= poses.LOW).all() and (angles <= poses.HIGH).all()
    assert len({family for _, family in drawn}) > 8


def test_a_mirrored_pose_mirrored_is_the_pose() -> None:
    for angles in poses.KEY_POSES.values():
        np.testing.assert_array_equal(poses.mirror(poses.mirror(angles)), angles)


def _skeleton() -> tuple[list[str], list[int], dict[str, np.ndarray]]:
    """A person of sticks with Anny's names, arms and legs straight and a little apart."""
    bones = [("root", None, (0, 0, 0)), ("spine05", "root", (0, 0, 0.05)), ("spine01", "spine05", (0, 0, 0.4))]
    for side, s in (("L", 1), ("R", -1)):
        bones += [
            (f"clavicle.{side}", "spine01", (0.02 * s, 0, 0.45)),
            (f"upperarm01.{side}", f"clavicle.{side}", (0.16 * s, 0, 0.45)),
            (f"lowerarm01.{side}", f"upperarm01.{side}", (0.34 * s, 0, 0.27)),
            (f"wrist.{side}", f"lowerarm01.{side}", (0.5 * s, 0, 0.11)),
            (f"finger3-1.{side}", f"wrist.{side}", (0.56 * s, 0, 0.05)),
            (f"upperleg01.{side}", "root", (0.1 * s, 0, 0)),
            (f"lowerleg01.{side}", f"upperleg01.{side}", (0.14 * s, 0, -0.4)),
            (f"foot.{side}", f"lowerleg01.{side}", (0.18 * s, 0, -0.8)),
        ]
    names = [name for name, _, _ in bones]
    parents = [-1 if above is None else names.index(above) for _, above, _ in bones]
    return names, parents, {name: np.array(place, float) for name, _, place in bones}


def _posed(**degrees: float) -> dict[str, np.ndarray]:
    names, parents, heads = _skeleton()
    angles = np.zeros(len(poses.ANGLES))
    for name, value in degrees.items():
        angles[poses.ANGLES.index(name)] = value
    turns = poses.bone_rotations(angles, names, parents, heads)
    same(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), 1e-12)
    posed = {"root": heads["root"]}
    for _i, (name, parent) in enumerate(zip(names, parents, strict=True)):
        if parent >= 0:
            above = names[parent]
            posed[name] = posed[above] + turns[parent] @ (heads[name] - heads[above])
    return posed


@pytest.mark.numeric
def test_angles_move_the_limbs_the_way_their_names_say() -> None:
    at = _posed()  # hanging
    for limb in (("upperarm01.L", "lowerarm01.L", "wrist.L"), ("upperleg01.R", "lowerleg01.R", "foot.R")):
        a, b, c = (at[name] for name in limb)
        within(np.abs([(b - a)[:2], (c - b)[:2]]).max(), 1e-9, "metres aside")
        assert c[2] < b[2] < a[2]
    forwards = _posed(left_arm_raise=80, right_leg_raise=60)
    assert forwards["wrist.L"][1] < -0.3 and forwards["foot.R"][1] < -0.3  # the front is at negative y
    aside = _posed(left_arm_out=80, right_arm_out=80)
    assert aside["wrist.L"][0] > 0.5 and aside["wrist.R"][0] < -0.5
    bent = _posed(left_arm_elbow=90, left_leg_knee=90)
    assert bent["wrist.L"][1] < bent["lowerarm01.L"][1] - 0.1  # an elbow bends forwards
    assert bent["foot.L"][1] > bent["lowerleg01.L"][1] + 0.3  # a knee backwards
    turned = _posed(spine_turn=40)
    assert turned["upperarm01.R"][1] < turned["upperarm01.L"][1]  # to the left: the right shoulder comes forward


@pytest.mark.numeric
def test_left_and_right_mirror_each_other() -> None:
    angles = {
        "arm_raise": 30,
        "arm_out": 50,
        "arm_twist": 20,
        "arm_elbow": 70,
        "leg_raise": 40,
        "leg_out": 10,
        "leg_knee": 50,
    }
    at = _posed(**{f"{side}_{name}": value for name, value in angles.items() for side in ("left", "right")})
    for name in ("wrist", "foot"):
        same(at[f"{name}.L"], at[f"{name}.R"] * [-1, 1, 1], 1e-9)


@pytest.mark.numeric
def test_the_nearer_triangle_hides_the_other() -> None:
    pytest.importorskip("numba")
    from rendering.raster import rasterise

    square = [[1, 1], [9, 1], [9, 9], [1, 9]]
    points = np.array([[x, y, z] for z in (2.0, 1.0) for x, y in square], np.float32)
    points[4:, 0] += 4
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]], np.int32)
    for order in (faces, faces[::-1].copy()):
        depth, face, weights = rasterise(points, order, 12, 16)
        same(depth[5, [3, 7, 12]], [2, 1, 1], 1e-5)
        assert np.isinf(depth[0, 0]) and face[0, 0] == -1
        assert (np.isfinite(depth)).sum() == 9 * 9 + 9 * 4
    assert (weights >= 0).all()
    within(max(float(weights.sum(-1).max()) - 1, 0), 1e-5, "weights beyond 1")


@pytest.mark.numeric
def test_depth_is_interpolated_as_a_plane_in_space() -> None:
    pytest.importorskip("numba")
    from rendering.raster import rasterise

    points = np.array([[0, 0, 1], [10, 0, 3], [0, 10, 1]], np.float32)
    depth, _, _ = rasterise(points, np.array([[0, 1, 2]], np.int32), 12, 12)
    same([depth[0, 5]], [1 / (0.5 / 1 + 0.5 / 3)], 1e-5)


def test_what_crosses_the_camera_is_left_out() -> None:
    pytest.importorskip("numba")
    from rendering.raster import rasterise

    points = np.array([[0, 0, 1], [10, 0, -1], [0, 10, 1]], np.float32)
    assert (rasterise(points, np.array([[0, 1, 2]], np.int32), 12, 12)[1] == -1).all()


def test_heldout_pictures_and_joints_belong_together() -> None:
    people = json.loads((HELDOUT / "people.json").read_text())
    assert people["categories"][0]["keypoints"][5:7] == ["left_shoulder", "right_shoulder"]
    images = {image["id"]: image for image in people["images"]}
    assert len(images) == len(people["annotations"]) == 24
    for annotation in people["annotations"]:
        image = images[annotation["image_id"]]
        with Image.open(HELDOUT / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"]) == (256, 320)
        joints = np.array(annotation["keypoints"]).reshape(17, 3)
        placed = joints[:, 2] > 0
        assert set(joints[:, 2]) <= {0, 1, 2} and annotation["num_keypoints"] == placed.sum()
        assert (joints[~placed] == 0).all()
        assert (joints[placed, :2] >= -0.5).all()
        assert (joints[placed, 0] < 255.5).all() and (joints[placed, 1] < 319.5).all()
        x, y, w, h = annotation["bbox"]
        assert x >= 0 and y >= 0 and x + w <= 256 and y + h <= 320
        assert 0 < annotation["area"] <= w * h
        seen = joints[joints[:, 2] == 2]
        margin = 0.12 * max(w, h)  # a visible joint lies on the person
        assert (seen[:, 0] > x - margin).all() and (seen[:, 0] < x + w + margin).all()
        assert (seen[:, 1] > y - margin).all() and (seen[:, 1] < y + h + margin).all()


def test_the_command_line_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    import render_people

    for arguments, sentence in (
        (["--count", "3"], "give either --out"),
        (["--out", "x", "--count", "0"], "at least 1"),
        (["--out", "x", "--size", "big"], "is not height x width"),
        (["--coco", "x", "--hard"], "--hard goes with --out"),
    ):
        with pytest.raises(SystemExit):
            render_people.main(arguments)
        assert sentence in capsys.readouterr().err


def test_a_folder_of_another_series_is_refused(tmp_path: Path) -> None:
    import render_people

    (tmp_path / "meta.json").write_text(json.dumps({"seed": 1, "height": 320, "width": 256, "shard_size": 500}))
    with pytest.raises(ValueError, match=r"seed.*1, 2"):
        render_people.write_shards(tmp_path, 2, 10, 500, (320, 256), 1)
    with pytest.raises(ValueError, match=r"hard.*False, True"):  # a folder from before there were hard pictures
        render_people.write_shards(tmp_path, 1, 10, 500, (320, 256), 1, hard=True)


@pytest.mark.slow
def test_shards_are_the_same_on_every_run(tmp_path: Path) -> None:
    for package in ("anny", "numba", "skimage", "sklearn"):
        pytest.importorskip(package)
    import render_people

    render_people.write_shards(tmp_path / "a", 7, 5, 2, (320, 256), 2)
    (tmp_path / "a" / "shard_00001.npz").unlink()
    render_people.write_shards(tmp_path / "a", 7, 5, 2, (320, 256), 1)  # goes on where a file is missing
    render_people.write_shards(tmp_path / "b", 7, 5, 5, (320, 256), 1)
    parts = [np.load(path) for path in sorted((tmp_path / "a").glob("*.npz"))]
    whole = np.load(tmp_path / "b" / "shard_00000.npz")
    assert len(parts) == 3 and not list(tmp_path.rglob("*.partial"))
    for key in ("jpegs", "joints", "boxes", "areas", "seeds"):
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), whole[key])
    assert whole["offsets"][-1] == len(whole["jpegs"]) and whole["joints"].dtype == np.float32
    assert whole["joints"].shape == (5, 17, 3) and whole["boxes"].shape == (5, 4)


@pytest.mark.numeric
@pytest.mark.slow
def test_heldout_is_what_the_script_makes() -> None:
    for package in ("anny", "numba", "skimage", "sklearn"):
        pytest.importorskip(package)
    from rendering.body import BodyModel
    from rendering.scene import render

    people = json.loads((HELDOUT / "people.json").read_text())
    model = BodyModel()
    for index in (0, 11):
        rendering = render(model, 3, index)
        stored = np.array(people["annotations"][index]["keypoints"], np.float32).reshape(17, 3)
        within(np.abs(rendering.joints - stored).max(), 0.5, "pixels")


@pytest.mark.slow
def test_hard_pictures_are_darker_and_more_crowded() -> None:
    for package in ("anny", "numba", "skimage", "sklearn"):
        pytest.importorskip(package)
    from rendering.body import BodyModel
    from rendering.scene import render

    model = BodyModel()
    plain, hard = ([render(model, 5, index, hard=hard) for index in range(40)] for hard in (False, True))
    assert np.mean([(r.image.mean() < 60) for r in hard]) > np.mean([(r.image.mean() < 60) for r in plain])
    assert sum(r.family in ("lie", "floor", "crouch") for r in hard) > sum(
        r.family in ("lie", "floor", "crouch") for r in plain
    )
    # A close-up leaves joints outside the picture.
    assert sum((r.joints[:, 2] == 0).sum() for r in hard) > sum((r.joints[:, 2] == 0).sum() for r in plain)
    np.testing.assert_array_equal(hard[7].image, render(model, 5, 7, hard=True).image)


@pytest.mark.slow
def test_every_family_has_its_things() -> None:
    for package in ("anny", "numba", "skimage", "sklearn"):
        pytest.importorskip(package)
    from rendering.body import BodyModel
    from rendering.things import things_for
    from rendering.wardrobe import dress

    model = BodyModel()
    for family in sorted(set(poses.FAMILY.values()) | {"random"}):
        body = model.pose(
            {"gender": 1.0}, next(a for n, a in poses.KEY_POSES.items() if poses.FAMILY[n] in (family, "sit"))
        )
        for seed in range(12):
            rng = np.random.default_rng(seed)
            outfit = dress(rng, model.canonical, model.along, model.vertex_part, 1.0, family, 3)
            for thing in things_for(rng, model, body, outfit, family):
                assert np.isfinite(thing.vertices).all() and thing.faces.max() < len(thing.vertices)
