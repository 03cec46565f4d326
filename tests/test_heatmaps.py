"""Crop, normalise, decode and back: against slow obvious versions, properties, and people in photographs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import same, within
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import litehrnet
from litehrnet.files import data_path
from litehrnet.heatmaps import (
    COCO_FLIP_PAIRS,
    COCO_NAMES,
    COCO_SIGMAS,
    COCO_SKELETON,
    MEAN,
    STD,
    crop_person,
    decode,
    oks,
    read_image,
    to_image,
    to_input,
)

SHARED = Path(__file__).resolve().parents[2] / "shared"

sizes = st.sampled_from([(256, 192), (192, 256), (128, 96), (256, 256), (96, 160), (253, 189)])
boxes = st.tuples(st.floats(-80, 250), st.floats(-60, 150), st.floats(5, 500), st.floats(5, 500)).filter(
    lambda box: box[0] + box[2] > 1 and box[1] + box[3] > 1
)


def photograph(height: int = 160, width: int = 260) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def slow_warp(image: np.ndarray, to_crop: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """OpenCV's warpAffine with a black border, one pixel at a time."""
    height, width = image.shape[:2]
    square = np.vstack([to_crop, [0, 0, 1]])
    crop = np.zeros((*size, 3))
    for v in range(size[0]):
        for u in range(size[1]):
            x, y, _ = np.linalg.solve(square, [u, v, 1])
            left, top = int(np.floor(x)), int(np.floor(y))
            for i, j in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                if 0 <= i < height and 0 <= j < width:
                    crop[v, u] += (1 - abs(y - i)) * (1 - abs(x - j)) * image[i, j]
    return crop


def gaussian(joints: np.ndarray, size: tuple[int, int], sigma: float = 2.0) -> np.ndarray:
    """One heatmap per joint: joints (K, 2) in input pixels to (1, K, ceil(h / 4), ceil(w / 4))."""
    rows, columns = np.mgrid[: -(-size[0] // 4), : -(-size[1] // 4)]
    squared = [(columns - x / 4) ** 2 + (rows - y / 4) ** 2 for x, y in joints]
    return np.exp(-np.array(squared) / (2 * sigma**2))[None]


def slow_plateau(heatmap: np.ndarray, y: int, x: int) -> set[tuple[int, int]]:
    """All pixels as high as (y, x) that can be reached from it, as a king moves."""
    reached, border = {(y, x)}, [(y, x)]
    while border:
        y, x = border.pop()
        for near in itertools.product((y - 1, y, y + 1), (x - 1, x, x + 1)):
            inside = 0 <= near[0] < heatmap.shape[0] and 0 <= near[1] < heatmap.shape[1]
            if inside and near not in reached and heatmap[near] == heatmap[y, x]:
                reached.add(near)
                border.append(near)
    return reached


def slow_decode(heatmap: np.ndarray) -> tuple[float, float]:
    """The public code's argmax and quarter shift, for one map; the centre of a plateau."""
    height, width = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), width)
    plateau = slow_plateau(heatmap, y, x)
    if len(plateau) > 1:
        return 4 * np.mean([x for _, x in plateau]), 4 * np.mean([y for y, _ in plateau])
    dx = dy = 0.0
    if 1 < x < width - 1 and 1 < y < height - 1:
        dx = 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
        dy = 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    return 4 * (x + dx), 4 * (y + dy)


class TestCrop:
    @pytest.mark.numeric
    @pytest.mark.parametrize(
        ("box", "size"),
        [
            ((60, 40, 40, 80), (32, 24)),  # inside, smaller
            ((60.3, 40.7, 9, 7), (24, 32)),  # inside, larger
            ((-30, -20, 200, 100), (40, 24)),  # over two borders
            ((200, 100, 300, 200), (24, 40)),  # over the other two
            ((0, 0, 260, 160), (17, 33)),  # odd sides
            ((259, 159, 3, 3), (20, 20)),  # one pixel, fading into black
        ],
    )
    def test_equals_slow_bilinear(self, box: tuple, size: tuple) -> None:
        image = photograph()
        crop, to_crop = crop_person(image, box, size)
        assert crop.shape == (*size, 3) and crop.dtype == np.uint8
        # Pillow cuts off the fraction: up to one level lower.
        off = slow_warp(image, to_crop, size) - crop
        within(max(-off.min(), off.max() - 1, 0), 1e-3, "outside 0 to 1 level")

    def test_whole_pixels_are_copied(self) -> None:
        image = photograph(64, 48)
        crop, to_crop = crop_person(image, (0, 0, 48, 64), (64, 48), padding=1)
        assert to_crop.tolist() == [[1, 0, 0], [0, 1, 0]]
        assert np.array_equal(crop, image)

    @pytest.mark.numeric
    @given(box=boxes, size=sizes, padding=st.floats(1, 2))
    def test_box_lies_centred_and_touches_the_padded_crop(self, box: tuple, size: tuple, padding: float) -> None:
        _, to_crop = crop_person(photograph(), box, size, padding)
        x, y, w, h = box
        corners = to_crop @ np.array([[x, x + w], [y, y + h], [1, 1]])
        same(corners.mean(axis=1), (size[1] / 2, size[0] / 2), 1e-6)
        share = (corners[:, 1] - corners[:, 0]) * padding / (size[1], size[0])
        within(abs(share.max() - 1), 1e-6, "touches the crop")
        assert share.min() > 0
        assert to_crop[0, 0] == to_crop[1, 1]  # a person keeps their proportions

    def test_outside_is_black(self) -> None:
        image = np.full((50, 50, 3), 200, np.uint8)
        crop, to_crop = crop_person(image, (-40, 10, 60, 30), (64, 64))
        inside = to_image(np.argwhere(crop.any(axis=2))[:, ::-1], to_crop)
        assert inside.min() > -1 and inside.max() < 50
        assert not crop.all() and crop.max() in (199, 200)

    def test_does_not_change_its_input(self) -> None:
        image = photograph()
        before = image.copy()
        crop_person(image, (1, 1, 20, 30))
        image.flags.writeable = False
        crop_person(image[:, ::-1], (1, 1, 20, 30))  # read-only and not contiguous
        assert np.array_equal(image, before)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"image": np.zeros((20, 20), np.uint8)}, r"\(H, W, 3\).*\(20, 20\)"),
            ({"image": np.zeros((20, 20, 4), np.uint8)}, r"\(20, 20, 4\)"),
            ({"image": np.zeros((0, 20, 3), np.uint8)}, r"\(0, 20, 3\)"),
            ({"image": np.zeros((1, 3, 20, 20), np.uint8)}, "not a picture"),
            ({"image": np.zeros((20, 20, 3), np.float32)}, "uint8.*float32"),
            ({"box": (1, 2, 3)}, "four finite numbers"),
            ({"box": (1, 2, np.nan, 4)}, "four finite numbers"),
            ({"box": (5, 5, 0, 4)}, "must be positive, got 0 and 4"),
            ({"box": (5, 5, 4, -1)}, "must be positive, got 4 and -1"),
            ({"box": (20, 5, 4, 4)}, "outside the image of 20x20"),
            ({"box": (-9, 5, 4, 4)}, "outside the image of 20x20"),
            ({"size": (256, 0)}, r"\(256, 0\)"),
            ({"size": (256.0, 192)}, "two positive integers"),
            ({"size": 256}, "two positive integers"),
            ({"size": (True, 192)}, "two positive integers"),
            ({"padding": 0}, "padding.*0"),
            ({"padding": np.nan}, "padding.*nan"),
            ({"box": (0, 0, 1e300, 3e307)}, "cannot be cropped"),
            ({"box": (3, 4, 1e-200, 1e-9)}, "cannot be cropped"),
            ({"box": (-1e290, -1e290, 2e290, 2e290)}, "cannot be cropped"),
        ],
    )
    def test_bad_input_is_one_sentence(self, changes: dict, words: str) -> None:
        arguments = {"image": np.zeros((20, 20, 3), np.uint8), "box": (5, 5, 4, 4), **changes}
        with pytest.raises(ValueError, match=words) as error:
            crop_person(**arguments)
        assert "\n" not in str(error.value)


class TestToInput:
    @pytest.mark.numeric
    def test_values_and_order(self) -> None:
        crop = photograph(32, 64)
        x = to_input(crop)
        assert x.shape == (1, 3, 32, 64) and x.dtype == np.float32 and x.flags.c_contiguous
        for channel in range(3):
            expected = (crop[..., channel].astype(float) - MEAN[channel]) / STD[channel]
            same(x[0, channel], expected, 1e-5)

    def test_floats_on_the_same_scale_give_the_same(self) -> None:
        crop = photograph(32, 32)
        assert np.array_equal(to_input(crop), to_input(crop.astype(np.float64)))

    @pytest.mark.parametrize(
        ("crop", "words"),
        [
            (np.full((32, 32, 3), np.nan), "NaN"),
            (np.where(np.arange(3) == 1, np.inf, 0.0) * np.ones((32, 32, 3)), "NaN or infinity"),
            (np.linspace(-2, 2, 3072).reshape(32, 32, 3), r"-2\.\.2.*normalised already"),
            (np.linspace(0, 300, 3072).reshape(32, 32, 3), r"0\.\.300"),
            (np.linspace(0, 1, 3072).reshape(32, 32, 3), "multiply by 255"),
            (np.zeros((32, 32, 3), np.int64), "int64"),
            (np.zeros((3, 32, 32), np.uint8), r"\(3, 32, 32\)"),
        ],
    )
    def test_bad_input_is_one_sentence(self, crop: np.ndarray, words: str) -> None:
        with pytest.raises(ValueError, match=words) as error:
            to_input(crop)
        assert "\n" not in str(error.value)


class TestDecode:
    @pytest.mark.numeric
    @given(seed=st.integers(0, 10_000), shape=st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(1, 9)] * 2))
    def test_equals_slow_decode(self, seed: int, shape: tuple) -> None:
        # Few levels, so that equal neighbours and equal peaks occur.
        maps = np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)
        joints, scores = decode(maps)
        assert joints.shape == (*shape[:2], 2) and joints.dtype == scores.dtype == np.float32
        for n in range(shape[0]):
            for k in range(shape[1]):
                within(np.abs(joints[n, k] - slow_decode(maps[n, k])).max(), 1e-3, "pixels")
                assert scores[n, k] == maps[n, k].max()

    @pytest.mark.parametrize(("rows", "columns"), [(3, 3), (1, 2), (2, 2), (5, 3), (1, 1)])
    @pytest.mark.parametrize(("y", "x"), [(20, 30), (0, 0), (59, 43), (1, 45)])
    def test_a_plateau_gives_its_centre(self, rows: int, columns: int, y: int, x: int) -> None:
        maps = np.zeros((1, 2, 64, 48), np.float32)
        maps[0, 0, y : y + rows, x : x + columns] = 0.7
        maps[0, 0, 63, 0] = 0.7  # as high, but apart: the first one counts
        maps[0, 1] = np.random.default_rng(0).random((64, 48))
        height, width = min(rows, 64 - y), min(columns, 48 - x)
        joints, scores = decode(maps)
        assert joints[0, 0].tolist() == [4 * (x + (width - 1) / 2), 4 * (y + (height - 1) / 2)]
        assert scores[0, 0] == np.float32(0.7)
        assert tuple(joints[0, 1]) == slow_decode(maps[0, 1])

    @pytest.mark.parametrize("levels", [255, 15])
    def test_eight_bits_move_a_broad_peak_by_less_than_a_pixel(self, levels: int) -> None:
        centre = np.array([[97.0, 123.0]])
        maps = gaussian(centre, (256, 192))
        coarse = np.round(maps * levels) / np.float32(levels)
        assert np.abs(decode(coarse)[0][0, 0] - centre).max() <= 2.0

    @pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64", "gradient", "not contiguous"])
    def test_tensors_are_taken(self, kind: str) -> None:
        maps = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(0))
        tensor = {
            "bfloat16": maps.bfloat16(),
            "float16": maps.half(),
            "float64": maps.double(),
            "gradient": maps.clone().requires_grad_() * 1,
            "not contiguous": maps.transpose(2, 3).contiguous().transpose(2, 3),
        }[kind]
        joints, scores = decode(tensor)
        expected = decode(tensor.detach().float().numpy())
        assert np.array_equal(joints, expected[0]) and np.array_equal(scores, expected[1])

    def test_integer_tensors_are_refused_like_arrays(self) -> None:
        with pytest.raises(ValueError, match="int64"):
            decode(torch.zeros(1, 1, 4, 4, dtype=torch.int64))

    @pytest.mark.parametrize("value", [0.0, -3.5, 1e-30])
    def test_flat_map_is_finite_and_keeps_its_value(self, value: float) -> None:
        joints, scores = decode(np.full((1, 2, 64, 48), value, np.float32))
        assert np.isfinite(joints).all()
        assert (scores == np.float32(value)).all()

    @pytest.mark.parametrize("peak", [(0, 0), (0, 20), (63, 47), (30, 0), (30, 47), (63, 5)])
    def test_border_peak_stays_on_the_border(self, peak: tuple[int, int]) -> None:
        maps = gaussian(np.array([[4 * peak[1], 4 * peak[0]]]), (256, 192))
        assert decode(maps)[0][0, 0].tolist() == [4 * peak[1], 4 * peak[0]]

    @pytest.mark.numeric
    @given(x=st.floats(12, 170), y=st.floats(12, 236), box=boxes, size=sizes)
    @settings(max_examples=200)
    def test_known_joint_comes_back_within_one_input_pixel(self, x: float, y: float, box: tuple, size: tuple) -> None:
        # A joint anywhere in the inner crop, through photograph, crop, heatmap and back.
        _, to_crop = crop_person(photograph(), box, size)
        inner = np.array([[12 + (size[1] - 24) * (x - 12) / 158, 12 + (size[0] - 24) * (y - 12) / 224]])
        joint = to_image(inner, to_crop)
        in_crop = joint @ to_crop[:, :2].T + to_crop[:, 2]
        same(in_crop, inner, 1e-6)
        decoded, scores = decode(gaussian(in_crop, size))
        back = to_image(decoded[0], to_crop)
        one_pixel = 1 / to_crop[0, 0]
        within(max(np.abs(back - joint).max() / one_pixel - 1, 0), 1e-3, "input pixels beyond one")
        assert scores[0, 0] > 0.9

    @pytest.mark.parametrize(
        ("maps", "words"),
        [
            (np.zeros((17, 64, 48), np.float32), r"\(17, 64, 48\)"),
            (np.zeros((1, 17, 0, 48), np.float32), r"\(1, 17, 0, 48\)"),
            (np.zeros((1, 17, 64, 48), np.int64), "int64"),
            (np.full((1, 1, 4, 4), np.nan), "NaN"),
        ],
    )
    def test_bad_input_is_one_sentence(self, maps: np.ndarray, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            decode(maps)


class TestToImage:
    @pytest.mark.numeric
    def test_undoes_any_affine_matrix(self) -> None:
        to_crop = np.array([[0.8, -0.3, 5.0], [0.4, 1.1, -7.0]])
        points = np.random.default_rng(0).uniform(-100, 500, (2, 17, 2))
        back = to_image(points @ to_crop[:, :2].T + to_crop[:, 2], to_crop)
        same(back, points, 1e-11)

    @pytest.mark.parametrize(
        ("joints", "matrix", "words"),
        [
            (np.zeros((17, 3)), np.eye(2, 3), r"\(17, 3\)"),
            (np.zeros((17, 2)), np.eye(3), r"\(3, 3\)"),
            (np.zeros((17, 2)), np.zeros((2, 3)), "inverted"),
        ],
    )
    def test_bad_input_is_one_sentence(self, joints: np.ndarray, matrix: np.ndarray, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            to_image(joints, matrix)


class TestOks:
    @pytest.mark.numeric
    def test_equals_the_evaluation_of_coco_by_hand(self) -> None:
        rng = np.random.default_rng(0)
        target = np.column_stack([rng.uniform(0, 100, (17, 2)), rng.integers(0, 3, 17)])
        joints = target[:, :2] + rng.normal(0, 4, (17, 2))
        area, total, count = 2500.0, 0.0, 0
        for (x, y), (tx, ty, v), sigma in zip(joints, target, COCO_SIGMAS, strict=True):
            if v > 0:
                variance = (2 * sigma) ** 2
                total += np.exp(-((x - tx) ** 2 + (y - ty) ** 2) / variance / area / 2)
                count += 1
        same([oks(joints, target, area)], [total / count], 1e-9)

    @pytest.mark.numeric
    @given(factor=st.floats(0.1, 50), shift=st.floats(-1000, 1000))
    def test_does_not_depend_on_scale_and_place(self, factor: float, shift: float) -> None:
        target = np.column_stack([np.arange(34.0).reshape(17, 2), np.full(17, 2.0)])
        joints = target[:, :2] + 3
        moved = target.copy()
        moved[:, :2] = factor * moved[:, :2] + shift
        same([oks(factor * joints + shift, moved, 900 * factor**2)], [oks(joints, target, 900)], 1e-6)

    def test_joints_without_annotation_do_not_count(self) -> None:
        target = np.zeros((17, 3))
        target[5] = 10, 10, 1
        assert oks(np.full((17, 2), 10.0), target, 100) == 1

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"target": np.zeros((17, 3))}, "no annotated joint"),
            ({"area": 0}, "area.*0"),
            ({"sigmas": COCO_SIGMAS[:16]}, r"\(16,\)"),
            ({"joints": np.zeros((16, 2))}, r"\(16, 2\)"),
        ],
    )
    def test_bad_input_is_one_sentence(self, changes: dict, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            oks(**{"joints": np.zeros((17, 2)), "target": np.ones((17, 3)), "area": 9.0, **changes})


def test_constants_belong_together() -> None:
    assert len(COCO_NAMES) == len(COCO_SIGMAS) == len(set(COCO_NAMES)) == 17
    for left, right in COCO_FLIP_PAIRS:
        assert COCO_NAMES[left].replace("left", "right") == COCO_NAMES[right]
        assert COCO_SIGMAS[left] == COCO_SIGMAS[right]
    mirror = {a: b for pair in COCO_FLIP_PAIRS for a, b in (pair, pair[::-1])}
    bones = {frozenset(bone) for bone in COCO_SKELETON}
    assert {frozenset(mirror.get(joint, joint) for joint in bone) for bone in bones} == bones
    assert {joint for bone in bones for joint in bone} == set(range(17))


class TestReadImage:
    def test_photograph_is_rgb(self) -> None:
        image = read_image(data_path("astronaut.jpg"))
        assert image.shape == (512, 512, 3) and image.dtype == np.uint8
        assert image[400, 215, 0] > image[400, 215, 2] + 40  # the suit is orange: red first

    @pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
    def test_other_modes_become_rgb(self, tmp_path: Path, mode: str) -> None:
        path = tmp_path / "image.tiff"
        Image.new(mode, (20, 10)).save(path)
        assert read_image(path).shape == (10, 20, 3)

    def test_exif_orientation_is_followed(self, tmp_path: Path) -> None:
        lying = np.zeros((30, 60, 3), np.uint8)
        lying[:, :30] = 255  # bright left half
        image = Image.fromarray(lying)
        exif = image.getexif()
        exif[0x0112] = 6  # turn by a quarter clockwise to see it upright
        image.save(tmp_path / "phone.jpg", exif=exif)
        upright = read_image(tmp_path / "phone.jpg")
        assert upright.shape == (60, 30, 3)
        assert upright[:20].min() > 200 and upright[-20:].max() < 50


@pytest.mark.skipif(not SHARED.is_dir(), reason="the annotated photographs are not there")
def test_trained_network_finds_the_people() -> None:
    people = json.loads((SHARED / "photos" / "people.json").read_text())
    files = {image["id"]: image["file_name"] for image in people["images"]}
    checkpoint = torch.load(SHARED / "weights" / "wider_naive_litehrnet18_256x192.pth", weights_only=True)
    state = {key.replace("keypoint_head.", "head."): value for key, value in checkpoint["state_dict"].items()}
    model = litehrnet.create_model("wider_naive_litehrnet18")
    model.load_state_dict(state)
    scores = []
    for person in people["annotations"]:
        image = read_image(SHARED / "photos" / files[person["image_id"]])
        crop, to_crop = crop_person(image, person["bbox"])
        with torch.inference_mode():
            heatmaps = model(torch.from_numpy(to_input(crop))).numpy()
        joints = to_image(decode(heatmaps)[0][0], to_crop)
        scores.append(oks(joints, np.reshape(person["keypoints"], (17, 3)), person["area"]))
    assert len(scores) == 12
    assert np.mean(scores) >= 0.88, scores
