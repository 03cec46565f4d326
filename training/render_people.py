"""Render people with exact COCO joints, to train a pose network without a single photograph of a person.

    python training/render_people.py --count 24000 --seed 1 --out shards        # for training/make_weights.py
    python training/render_people.py --count 24 --seed 3 --coco data/heldout --contact-sheet data/contact_sheet.jpg

Picture i of seed s is the same whatever the number of workers. Finished shards are kept, so the same command continues
a run that was interrupted. Needs the extra `render`; Anny builds a cache on its first run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from rendering import OWN_JOINTS
from tqdm import tqdm

from litehrnet.heatmaps import COCO_NAMES
from litehrnet.sizes import parse_size

if TYPE_CHECKING:
    from rendering.body import BodyModel
    from rendering.scene import Rendering

JPEG_QUALITY = 92
PACKAGES = ("anny", "numba", "numpy", "pillow", "scikit-image", "scikit-learn")
NAMES = tuple(name.replace(" ", "_") for name in COCO_NAMES)  # as COCO's files have them
# COCO's own list of limbs, in its order, joints counted from 1.
SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
# What --own writes instead of COCO's category: three joints that the bundled weights do not know, with our own sigmas.
OWN = {"keypoints": OWN_JOINTS, "skeleton": (), "sigmas": (0.035, 0.05, 0.05)}


@cache
def _model() -> BodyModel:
    """One body model per process; torch uses one thread, because the workers share the cores."""
    import torch
    from rendering.body import BodyModel

    torch.set_num_threads(1)
    return BodyModel()


def _render(seed: int, index: int, size: tuple[int, int], hard: bool = False) -> tuple[bytes, Rendering]:
    """Picture `index` of series `seed`, as a JPEG file and with its labels."""
    from rendering.scene import render

    rendering = render(_model(), seed, index, *size, hard)
    held = io.BytesIO()
    Image.fromarray(rendering.image).save(held, "JPEG", quality=JPEG_QUALITY)
    return held.getvalue(), rendering


def _shard(path: Path, seed: int, first: int, count: int, size: tuple[int, int], hard: bool) -> int:
    """Render pictures first .. first + count - 1 into one file, which appears only when it is complete."""
    rendered = [_render(seed, index, size, hard) for index in range(first, first + count)]
    files = [file for file, _ in rendered]
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        np.savez(
            stream,
            jpegs=np.frombuffer(b"".join(files), np.uint8),
            offsets=np.cumsum([0, *map(len, files)], dtype=np.int64),  # (n + 1,)
            joints=np.stack([r.joints for _, r in rendered]),  # (n, 17, 3)
            boxes=np.stack([r.box for _, r in rendered]),  # (n, 4)
            areas=np.array([r.area for _, r in rendered], np.float32),
            seeds=np.arange(first, first + count, dtype=np.int64),
        )
    partial.replace(path)
    return count


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def write_shards(
    out: Path, seed: int, count: int, shard_size: int, size: tuple[int, int], workers: int, hard: bool = False
) -> None:
    """Render `count` pictures into shard_00000.npz, shard_00001.npz, ... and say in meta.json what they are.

    A shard holds `jpegs` (uint8, JPEG files end to end), `offsets` (int64, n + 1), `joints` (float32, n x 17 x 3: x, y
    with integers as pixel centres, COCO's v), `boxes` (float32, n x 4: x, y, w, h), `areas` (float32, n, pixels) and
    `seeds` (int64, n: the picture's number in the series).

    Raises:
        ValueError: where `out` holds pictures of another seed, size, shard size or kind.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = {"seed": seed, "height": size[0], "width": size[1], "shard_size": shard_size, "hard": hard}
    meta = out / "meta.json"
    if meta.exists():
        found = {"hard": False} | json.loads(meta.read_text())
        different = {key: (found.get(key), value) for key, value in wanted.items() if found.get(key) != value}
        if different:
            raise ValueError(f"{out} holds other pictures (there, wanted): {different}; choose another folder")
    meta.write_text(json.dumps({**wanted, "joints": NAMES, "versions": _versions()}, indent=1) + "\n")
    starts = range(0, count, shard_size)
    todo = [(out / f"shard_{i:05d}.npz", start, min(shard_size, count - start)) for i, start in enumerate(starts)]
    missing = [job for job in todo if not job[0].exists()]
    done = count - sum(n for _, _, n in missing)
    # Spawned, not forked: torch's threads do not survive a fork.
    with (
        tqdm(total=count, initial=done, unit="img", mininterval=5) as bar,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        for future in as_completed(
            [pool.submit(_shard, path, seed, start, n, size, hard) for path, start, n in missing]
        ):
            bar.update(future.result())


def write_coco(
    out: Path,
    seed: int,
    count: int,
    size: tuple[int, int],
    own: bool = False,
) -> list[Rendering]:
    """Render `count` JPEG files and one annotation file in COCO's form into `out`; `own`: with the joints of `OWN`."""
    out.mkdir(parents=True, exist_ok=True)
    images, annotations, renderings = [], [], []
    for index in tqdm(range(count), unit="img"):
        file, rendering = _render(seed, index, size)
        name = f"{index:06d}.jpg"
        (out / name).write_bytes(file)
        images.append({"id": index, "file_name": name, "height": size[0], "width": size[1]})
        placed = rendering.own if own else rendering.joints
        joints = [[round(float(x), 2), round(float(y), 2), int(v)] for x, y, v in placed]
        annotations.append(
            {
                "id": index,
                "image_id": index,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [float(v) for v in rendering.box],
                "area": rendering.area,
                "num_keypoints": sum(v > 0 for _, _, v in joints),
                "keypoints": [v for joint in joints for v in joint],
            }
        )
        renderings.append(rendering)
    found = OWN if own else {"keypoints": NAMES, "skeleton": SKELETON}
    category = {"id": 1, "name": "person", "supercategory": "person", **found}
    options = f"--seed {seed} --count {count}{' --own' if own else ''}"
    info = {
        "description": f"Rendered people, training/render_people.py {options}",
        "versions": _versions(),
    }
    people = {"info": info, "images": images, "annotations": annotations, "categories": [category]}
    (out / "people.json").write_text(json.dumps(people) + "\n")
    return renderings


def contact_sheet(renderings: list[Rendering], path: Path, columns: int = 6, scale: float = 0.6) -> None:
    """Put the pictures side by side, every other one with its joints: left green, right orange, hidden hollow."""
    height, width = (round(side * scale) for side in renderings[0].image.shape[:2])
    rows = -(-len(renderings) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for i, rendering in enumerate(renderings):
        image = Image.fromarray(rendering.image).resize((width, height), Image.Resampling.LANCZOS)
        row, column = divmod(i, columns)
        if (row + column) % 2:
            draw_joints(image, rendering.joints * np.array([scale, scale, 1]))
        sheet.paste(image, (column * width, row * height))
    sheet.save(path, "JPEG", quality=80, optimize=True)


def draw_joints(image: Image.Image, joints: np.ndarray) -> None:
    """Draw limbs and joints (17, 3) on an image, in place."""
    draw = ImageDraw.Draw(image)
    for a, b in SKELETON:
        if joints[a - 1, 2] and joints[b - 1, 2]:
            draw.line([*joints[a - 1, :2], *joints[b - 1, :2]], fill=(255, 235, 60), width=1)
    for name, (x, y, v) in zip(NAMES, joints, strict=True):
        colour = (60, 230, 60) if name.startswith("left") else (255, 110, 20)
        if v:
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour if v == 2 else None, outline=colour)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24000, help="how many pictures (default 24000)")
    parser.add_argument("--seed", type=int, default=1, help="which series of pictures (default 1)")
    parser.add_argument("--out", type=Path, help="folder for shards; finished ones in it are kept")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes")
    parser.add_argument("--shard-size", type=int, default=500, help="pictures in one shard (default 500)")
    parser.add_argument("--size", default="320x256", help="height x width of a picture in pixels (default 320x256)")
    parser.add_argument("--coco", type=Path, metavar="OUT_DIR", help="write JPEG files and people.json there instead")
    parser.add_argument("--hard", action="store_true", help="with --out: people who are hard to find, see scene.render")
    parser.add_argument("--own", action="store_true", help="with --coco: other joints than COCO's, those of OWN")
    parser.add_argument("--contact-sheet", type=Path, metavar="FILE", help="with --coco: one picture of all of them")
    options = parser.parse_args(arguments)
    if (options.out is None) == (options.coco is None):
        parser.error("give either --out (shards) or --coco (JPEG files)")
    if options.own and options.contact_sheet:
        parser.error("--contact-sheet draws COCO's joints, which --own leaves out")
    if options.hard and options.coco:
        parser.error("--hard goes with --out")
    if min(options.count, options.workers, options.shard_size) < 1:
        parser.error("--count, --workers and --shard-size must be at least 1")
    try:
        height, width = parse_size(options.size)
    except ValueError as error:
        parser.error(f"--size: {error}")
    if options.coco:
        renderings = write_coco(options.coco, options.seed, options.count, (height, width), options.own)
        if options.contact_sheet:
            contact_sheet(renderings, options.contact_sheet)
    else:
        size = (height, width)
        write_shards(options.out, options.seed, options.count, options.shard_size, size, options.workers, options.hard)
    return 0


if __name__ == "__main__":
    sys.exit(main())
