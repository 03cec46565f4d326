"""Photographs of every kind, and of none; joints drawn on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from litehrnet.files import data_path
from litehrnet.images import draw_joints, read_image

PHOTO = data_path("astronaut.jpg")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I")
SUFFIXES = {"CMYK": "jpg", "YCbCr": "tiff", "HSV": None, "LAB": "tiff"}


class TestReadImage:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(mode=st.sampled_from(MODES), height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9))
    def test_every_mode_gives_the_picture(self, tmp_path: Path, mode: str, height: int, width: int, seed: int) -> None:
        suffix = SUFFIXES.get(mode, "png")
        if suffix is None:
            return
        gray = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
        if mode.startswith("I"):
            gray[0, 0] = 255  # a picture that uses few of its bits is taken for a depth map
            wide = gray.astype(np.uint16 if mode == "I;16" else np.int32) * 257
            picture, suffix = Image.fromarray(wide), "png" if mode == "I;16" else "tiff"
        else:
            picture = Image.fromarray(gray).convert("RGB") if mode in ("HSV", "LAB") else Image.fromarray(gray)
            picture = picture.convert(mode) if mode != "LAB" else picture.convert("RGB")
        path = tmp_path / f"photo.{suffix}"
        picture.save(path)
        image = read_image(path)
        assert image.shape == (height, width, 3) and image.dtype == np.uint8
        off = np.abs(image.astype(int) - gray[..., None]).max()
        # Bilevel keeps only whether a pixel is above the middle; JPEG and YCbCr round.
        assert mode == "1" or off <= (40 if mode == "CMYK" else 3)

    def test_sixteen_bits_are_not_cut_off(self, tmp_path: Path) -> None:
        values = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
        Image.fromarray(values).save(tmp_path / "deep.png")
        image = read_image(tmp_path / "deep.png")
        assert len(np.unique(image)) == 256 and image.max() == 255 and image.min() == 0

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_what_is_transparent_becomes_white(self, tmp_path: Path, mode: str) -> None:
        picture = Image.new("RGBA", (4, 4), (200, 10, 10, 0))
        picture.paste((10, 200, 10, 255), (0, 0, 2, 4))
        picture.convert(mode).save(tmp_path / "clear.png")
        image = read_image(tmp_path / "clear.png")
        assert (image[:, 2:] == 255).all() and (image[:, :2] != 255).any()

    @pytest.mark.parametrize("turn", range(1, 9))
    def test_exif_turns(self, tmp_path: Path, turn: int) -> None:
        upright = np.zeros((24, 40, 3), np.uint8)
        upright[:8, :8] = 255  # bright top left corner
        stored = {  # as the camera held that way stores it
            1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
            5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: np.rot90(upright[::-1]), 8: np.rot90(upright, -1),
        }[turn]  # fmt: skip
        picture = Image.fromarray(np.ascontiguousarray(stored))
        exif = picture.getexif()
        exif[0x0112] = turn
        picture.save(tmp_path / "phone.png", exif=exif)
        assert np.array_equal(read_image(tmp_path / "phone.png"), upright)

    @pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"no image at all", b"GIF89a"])
    def test_no_images(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"^x.png is not a photograph that can be read") as error:
            read_image(tmp_path / "x.png")
        assert len(str(error.value).splitlines()) == 1

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(keep=st.floats(0, 0.99), suffix=st.sampled_from(["png", "jpg", "webp", "tiff", "gif", "bmp"]))
    def test_truncated_photographs(self, tmp_path: Path, keep: float, suffix: str) -> None:
        path = tmp_path / f"photo.{suffix}"
        Image.fromarray(read_image(PHOTO)[::8, ::8]).save(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content))])
        try:
            assert read_image(path).shape == (64, 64, 3)
        except ValueError as error:
            assert "is not a photograph" in str(error)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "the file is empty: 0 bytes"),
            (bytes(5000), "zero bytes only"),
            (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "HEIC"),
            (b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isom", "video"),
            (b"\x1a\x45\xdf\xa3" + bytes(60), "video"),
            (b"RIFF\x24\x00\x00\x00AVI LIST", "video"),
            (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="x">', "SVG"),
            (b"\n <SVG width='3'/>", "SVG"),
            (b"<!DOCTYPE html><html>404", "web page"),
            (b"%PDF-1.7\n", "PDF"),
            (b"\x93NUMPY\x01\x00v\x00", "NumPy array"),
            (b"PK\x03\x04" + bytes(30), "archive"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
            (b"\x08\x0a\x12\x07pytorch", "begins with"),
        ],
    )
    def test_what_it_is_instead(self, tmp_path: Path, content: bytes, words: str) -> None:
        (tmp_path / "x.jpg").write_bytes(content)
        with pytest.raises(ValueError, match=words) as error:
            read_image(tmp_path / "x.jpg")
        assert str(error.value).startswith("x.jpg is not a photograph") and len(str(error.value).splitlines()) == 1

    @pytest.mark.parametrize("high", [256, 1023, 4500, 16383])
    @pytest.mark.parametrize("suffix", ["png", "tiff"])
    def test_depth_maps_are_no_photographs(self, tmp_path: Path, high: int, suffix: str) -> None:
        values = np.linspace(0, high, 400).reshape(20, 20)
        Image.fromarray(values.astype(np.uint16 if suffix == "png" else np.int32)).save(tmp_path / f"depth.{suffix}")
        with pytest.raises(ValueError, match=f"its values reach {high}, which is neither 8 nor 16 bits"):
            read_image(tmp_path / f"depth.{suffix}")

    def test_large_photographs_are_read_without_a_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
    ) -> None:
        Image.new("RGB", (60, 50)).save(tmp_path / "large.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # of 3000: Pillow warns
        assert read_image(tmp_path / "large.png").shape == (50, 60, 3) and not recwarn.list
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # three times as many: Pillow refuses
        with pytest.raises(ValueError, match=r"million pixels; make it smaller\)$"):
            read_image(tmp_path / "large.png")

    def test_floating_point_has_no_scale(self, tmp_path: Path) -> None:
        Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "x.tiff")
        with pytest.raises(ValueError, match="without a known scale"):
            read_image(tmp_path / "x.tiff")


class TestDrawJoints:
    NAMES = ("nose", "left eye", "right eye")

    def draw(self, places: list, scores: list, **options: object) -> np.ndarray:
        image = np.zeros((60, 80, 3), np.uint8)
        return draw_joints(image, np.array(places, float), np.array(scores), [(0, 1), (1, 2)], self.NAMES, **options)

    def test_colours_lie_where_the_joints_are(self) -> None:
        picture = self.draw([[40, 10], [20, 40], [60, 40]], [1, 1, 1])
        assert picture[40, 20].tolist() == [0, 0x72, 0xB2] and picture[40, 60].tolist() == [0xD5, 0x5E, 0]
        assert picture[25, 30].any() and not picture[55, 5].any()

    def test_low_scores_are_left_out_with_their_bones(self) -> None:
        picture = self.draw([[40, 10], [20, 40], [60, 40]], [1, 0.1, 1], least_score=0.5)
        assert not picture[40, 20].any() and not picture[25, 30].any() and picture[40, 60].any()

    def test_joints_outside_are_no_error(self) -> None:
        assert not self.draw([[-900, 10], [-900, 40], [-900, 999]], [1, 1, 1]).any()
