"""One picture: people in front of a camera, lit, drawn, partly hidden, and photographed badly enough to look real."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .backgrounds import Camera, background, cloth_textures, occluder
from .body import BodyModel, PosedBody
from .collisions import deepest_overlap
from .poses import sample_pose
from .raster import rasterise, shade, vertex_normals
from .things import Thing, things_for
from .wardrobe import MATERIAL, Outfit, dress

# How far a COCO joint may be below the visible skin or cloth and still count as visible, metres at 1.65 m.
_DEPTH = np.array(
    [0.035, 0.035, 0.035, 0.06, 0.06, 0.12, 0.12, 0.09, 0.09, 0.075, 0.075, 0.17, 0.17, 0.11, 0.11, 0.1, 0.1]
)
_OWN_DEPTH = np.array([0.06, 0.04, 0.04])  # the same for `body.OWN_JOINTS`
_OVERSAMPLE = 2
# What the weights that were trained first found hard: people on the floor, close to the camera or close together, and
# in the dark.
_HARD_FAMILIES = ("lie", "floor", "crouch", "ride", "kick", "jump")


@dataclass(frozen=True)
class Rendering:
    """A picture of a person and its labels."""

    image: NDArray[np.uint8]  # (H, W, 3)
    joints: NDArray[np.float32]  # (17, 3): x, y in pixels (integers are pixel centres), COCO's v
    own: NDArray[np.float32]  # (3, 3): the same for `body.OWN_JOINTS`
    box: NDArray[np.float32]  # x, y, w, h around the visible part of the person
    area: float  # visible pixels of the person
    family: str  # of the pose


@dataclass(frozen=True)
class _Person:
    body: PosedBody
    outfit: Outfit
    things: list[Thing]
    family: str
    size: float  # height at rest, metres


def _person(rng: np.random.Generator, model: BodyModel, families: tuple[str, ...] | None = None) -> _Person:
    gender = float(np.clip(rng.choice([rng.normal(0.08, 0.1), rng.normal(0.92, 0.1)]), 0, 1))
    child = rng.random() < 0.14
    phenotype = {
        "gender": gender,
        "age": float(rng.uniform(0.36, 0.6) if child else rng.uniform(0.62, 0.95)),
        "muscle": float(rng.beta(3, 2.5)),
        "weight": float(rng.beta(3, 3)),
        "height": float(rng.beta(3, 3)),
        "proportions": float(rng.beta(3, 2.5)),
    }
    best, least, family = None, np.inf, ""
    for _ in range(8):
        angles, drawn = sample_pose(rng, families)
        overlap = deepest_overlap(model, angles)
        if overlap < least:
            best, least, family = angles, overlap, drawn
        if least < 0.02:
            break
    outfit = dress(rng, model.canonical, model.along, model.vertex_part, gender, family, len(cloth_textures()))
    body = model.pose(phenotype, best, outfit.puff)
    size = float(np.ptp(body.rest[:, 2]))
    return _Person(body, outfit, things_for(rng, model, body, outfit, family), family, size)


def _about_z(angle: float) -> NDArray[np.float32]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)


def _heading(rng: np.random.Generator) -> float:
    """Which way somebody faces, radians; 0 is towards the camera."""
    return float(rng.normal(0, 0.7) if rng.random() < 0.6 else rng.uniform(-np.pi, np.pi))


def _look(rng: np.random.Generator, target: NDArray) -> tuple[NDArray, NDArray, float]:
    """The camera's position (3,), its axes (3, 3) and its distance in metres from the target."""
    distance = float(np.exp(rng.uniform(np.log(1.8), np.log(14))))
    pitch = np.radians(np.clip(rng.normal(6, 11), -15, 40))
    roll = np.radians(rng.normal(0, 4))
    off_yaw, off_pitch = np.radians(rng.normal(0, 7, 2))
    position = target + distance * np.array([0, -np.cos(pitch), np.sin(pitch)])
    pitch += off_pitch
    forward = np.array([np.sin(off_yaw) * np.cos(pitch), np.cos(off_yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return position, np.stack([c * right + s * down, -s * right + c * down, forward]), distance


def _framed(
    rng: np.random.Generator,
    position: NDArray,
    axes: NDArray,
    points: NDArray,
    height: int,
    width: int,
    near: bool = False,
) -> Camera:
    """Choose focal length and centre so that the person fills the crop as a padded COCO box would.

    The padded box (a margin of 1.25, 4 to 3) becomes 205 to 290 pixels high at a picture 320 high; in three of ten
    pictures the picture's border cuts the person, and in `near` ones it always does.
    """
    seen = Camera(position, axes, 1.0, (0.0, 0.0)).project(points)
    flat = seen[:, :2]
    low, high = flat.min(0), flat.max(0)
    chances = (0, 0.64, 0.13, 0.13, 0.1) if near else (0.68, 0.21, 0.04, 0.04, 0.03)
    cut = rng.choice(["none", "bottom", "left", "right", "top"], p=chances)
    share = (
        rng.uniform(0.3, 0.92)
        if cut == "bottom"
        else rng.uniform(0.55, 0.92)
        if cut != "top"
        else rng.uniform(0.72, 0.95)
    )
    axis = 0 if cut in ("left", "right") else 1
    if cut in ("bottom", "right"):
        flat = flat[flat[:, axis] <= low[axis] + share * (high - low)[axis]]
    elif cut in ("top", "left"):
        flat = flat[flat[:, axis] >= high[axis] - share * (high - low)[axis]]
    low, high = flat.min(0), flat.max(0)  # of what the picture shows
    w, h = high - low
    padded = height / 320 * np.exp(rng.uniform(np.log(205), np.log(290)))
    focal = padded / 1.25 / max(h, w * 4 / 3)
    slack = np.array([width - focal * w, height - focal * h])
    start = rng.uniform(0.08, 0.92, 2) * slack
    if cut != "none":
        start[axis] = slack[axis] if cut in ("bottom", "right") else 0.0
    return Camera(position, axes, float(focal), (float(start[0] - focal * low[0]), float(start[1] - focal * low[1])))


def _lights(rng: np.random.Generator) -> NDArray[np.float64]:
    """Ambient light and one to three lamps, see raster.shade."""
    count = int(rng.integers(1, 4))
    lights = np.zeros((1 + count, 7))
    warmth = 1 + rng.normal(0, 0.08) * np.array([1.0, 0.1, -1.0])
    lights[0, :3] = (0, 0, 1)
    lights[0, 3:6] = rng.uniform(0.4, 1.0) * warmth
    for i in range(1, count + 1):
        direction = rng.normal(size=3) + np.array([0, -0.7, 0.9])
        lights[i, :3] = direction / np.linalg.norm(direction)
        lights[i, 3:6] = rng.uniform(0.3, 1.0) / np.sqrt(count) * (1 + rng.normal(0, 0.1, 3))
        lights[i, 6] = rng.uniform(0, 0.5)
    return lights


@dataclass
class _Mesh:
    """All people and things of a scene in world axes, ready for the rasteriser."""

    points: list[NDArray]
    faces: list[NDArray]
    canonical: list[NDArray]
    along: list[NDArray]
    part: list[NDArray]
    owner: list[NDArray]
    fixed: list[NDArray]
    counts: list[NDArray]  # whether a face belongs to its owner's outline

    def add(self, points, faces, canonical, along, part, owner: int, fixed: int, counts: bool) -> None:
        start = sum(len(p) for p in self.points)
        n = len(faces)
        self.points.append(points)
        self.faces.append(faces + start)
        self.canonical.append(canonical)
        self.along.append(along)
        self.part.append(part)
        self.owner.append(np.full(n, owner, np.int32))
        self.fixed.append(np.full(n, fixed, np.int32))
        self.counts.append(np.full(n, counts))


def _assemble(model: BodyModel, people: list[_Person], turns: list[NDArray], shifts: list[NDArray]) -> _Mesh:
    mesh = _Mesh([], [], [], [], [], [], [], [])
    for i, (person, turn, shift) in enumerate(zip(people, turns, shifts, strict=True)):
        mesh.add(
            person.body.vertices @ turn.T + shift,
            model.faces,
            model.canonical,
            model.along,
            model.face_part,
            i,
            -1,
            True,
        )
        for thing in person.things:
            n = len(thing.vertices)
            mesh.add(
                thing.vertices @ turn.T + shift, thing.faces, thing.local, np.zeros(n, np.float32),
                np.zeros(len(thing.faces), np.int8), i, thing.material, thing.worn,
            )  # fmt: skip
    return mesh


def render(
    model: BodyModel, seed: int, index: int, height: int = 320, width: int = 256, hard: bool = False
) -> Rendering:
    """Render picture number `index` of the series `seed`; the same picture on every run.

    Args:
        model: the bodies.
        seed, index: decide every random choice.
        height, width: of the picture, pixels.
        hard: more of what is hard to find: people on the floor, crowds, close-ups and darkness.
    """
    for attempt in range(20):
        rng = np.random.default_rng([seed, index, attempt])
        picture = _try(rng, model, height, width, hard)
        if picture is not None:
            return picture
    raise RuntimeError(f"picture {index} of seed {seed}: in 20 attempts no person could be seen well enough")


def _try(rng: np.random.Generator, model: BodyModel, height: int, width: int, hard: bool) -> Rendering | None:
    # Three of ten hard pictures show a family of hard poses, three a crowd, three a close-up and three the dark.
    posed, crowded, near, dark = rng.random(4) < 0.3 if hard else (False,) * 4
    main = _person(rng, model, _HARD_FAMILIES if posed else None)
    turn = _about_z(_heading(rng))
    points = main.body.vertices @ turn.T
    target = (points.min(0) + points.max(0)) / 2
    ground = float(points[:, 2].min())
    position, axes, distance = _look(rng, target)
    camera = _framed(rng, position, axes, points, height, width, near)
    company = 0.9 if crowded else 0.33

    people, turns, shifts = [main], [turn], [np.zeros(3, np.float32)]
    while len(people) < 4 and rng.random() < (company if len(people) == 1 else company + 0.07):
        other = _person(rng, model)
        other_turn = _about_z(_heading(rng))
        place = np.array(
            [rng.choice([-1, 1]) * rng.uniform(0.3, 1.5), rng.choice([rng.uniform(-0.7, 0.4), rng.uniform(0.4, 4)]), 0]
        )
        place[2] = ground - (other.body.vertices @ other_turn.T)[:, 2].min() + rng.choice([0, rng.normal(0, 0.15)])
        people.append(other)
        turns.append(other_turn)
        shifts.append(place.astype(np.float32) + np.float32([target[0], target[1], 0]))
    mesh = _assemble(model, people, turns, shifts)
    world = np.concatenate(mesh.points).astype(np.float32)
    faces = np.concatenate(mesh.faces).astype(np.int32)
    owner, counts = np.concatenate(mesh.owner), np.concatenate(mesh.counts)

    k = _OVERSAMPLE
    # Pixel x of the picture covers k pixels of the buffer, whose centres are around k * x + (k - 1) / 2.
    screen = camera.project(world)
    buffer_points = screen.copy()
    buffer_points[:, :2] = screen[:, :2] * k + (k - 1) / 2
    depth, face, weights = rasterise(buffer_points, faces, height * k, width * k)
    mine = (face >= 0) & (owner[face] == 0) & counts[face]
    if mine.sum() < 0.01 * mine.size:
        return None

    view = position - target
    view = view / np.linalg.norm(view)
    lights = _lights(rng)
    for person in people:
        for name in ("thing0", "thing1", "thing2", "thing3", "thing4"):
            person.outfit.materials[MATERIAL[name]][9] *= 0.2
    colour = shade(
        face, weights, faces, vertex_normals(world, faces), np.concatenate(mesh.canonical), np.concatenate(mesh.along),
        np.concatenate(mesh.part), owner, np.concatenate(mesh.fixed), np.stack([p.outfit.cuts for p in people]),
        np.stack([p.outfit.materials for p in people]), cloth_textures(), lights, view,
    )  # fmt: skip
    colour *= _crevices(depth)[..., None]
    alpha = _shrink((face >= 0).astype(np.float32)[..., None], k)
    colour = _shrink(colour, k)
    back, grounded = background(rng, camera, ground, distance, height, width)
    if grounded and rng.random() < 0.7:
        back = back * _shadow(rng, camera, world, faces, ground, lights[1, :3], height, width)
    picture = back * (1 - alpha) + colour
    seen = _shrink(mine.astype(np.float32)[..., None], k)[..., 0]

    box = _box(seen)
    cover = np.zeros((height, width), np.float32)
    if rng.random() < 0.25 and box is not None:
        paint, cover = occluder(rng, box, height, width)
        picture = picture * (1 - cover[..., None]) + paint * cover[..., None]
        seen = seen * (1 - cover)
    box = _box(seen)
    whole = rasterise(camera.project(points), model.faces, height, width)[1] >= 0
    if box is None or seen.sum() < 0.3 * whole.sum() or seen.sum() < 0.012 * seen.size:
        return None

    joints = _label(camera, main.body.joints @ turn.T, _DEPTH * main.size / 1.65, depth, cover)
    own = _label(camera, main.body.own @ turn.T, _OWN_DEPTH * main.size / 1.65, depth, cover)
    if (joints[:, 2] == 2).sum() < 3:
        return None
    image = _photographed(rng, picture * (np.exp(rng.uniform(-1.8, -0.5)) if dark else 1.0))
    return Rendering(image, joints, own, box, float((seen > 0.5).sum()), main.family)


def _shrink(buffer: NDArray, k: int) -> NDArray[np.float32]:
    """Average k x k pixels into one: (k * H, k * W, C) to (H, W, C)."""
    total = buffer[::k, ::k].astype(np.float32)
    for i in range(k):
        for j in range(k):
            if i or j:
                total += buffer[i::k, j::k]
    return total / (k * k)


def _crevices(depth: NDArray) -> NDArray[np.float32]:
    """Darken what is behind its surroundings on the screen, because less light reaches it; (H, W), 0..1."""
    drawn = np.isfinite(depth)
    if not drawn.any():
        return np.ones(depth.shape, np.float32)
    near, far = float(depth[drawn].min()), float(depth[drawn].max())
    spread = max(far - near, 1e-3)
    filled = np.where(drawn, depth, far)
    image = Image.fromarray(((filled - near) / spread * 255).astype(np.uint8))
    blurred = np.asarray(image.filter(ImageFilter.BoxBlur(9)), np.float32) / 255 * spread + near
    behind = np.clip((filled - blurred) / 0.25, 0, 1)
    return (1 - 0.45 * behind).astype(np.float32)


def _shadow(
    rng: np.random.Generator,
    camera: Camera,
    world: NDArray,
    faces: NDArray,
    ground: float,
    light: NDArray,
    height: int,
    width: int,
) -> NDArray[np.float32]:
    """How much light reaches the ground, (H, W, 1): the people's outline along the light's direction, blurred."""
    down = np.array([light[0], light[1], max(light[2], 0.45)])
    fallen = world - (world[:, 2:3] - ground) / down[2] * down
    dark = rasterise(camera.project(fallen), faces, height, width)[1] >= 0
    image = Image.fromarray((dark * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 6)))
    return 1 - rng.uniform(0.2, 0.6) * np.asarray(image, np.float32)[..., None] / 255


def _box(seen: NDArray) -> NDArray[np.float32] | None:
    """x, y, w, h around pixels of which more than half is seen, or None."""
    rows, columns = np.flatnonzero((seen > 0.5).any(1)), np.flatnonzero((seen > 0.5).any(0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1], np.float32)


def _label(camera: Camera, points: NDArray, margins: NDArray, depth: NDArray, cover: NDArray) -> NDArray[np.float32]:
    """Joints (K, 3) with COCO's v: 2 visible, 1 hidden, 0 outside the picture (then x and y are 0 too).

    Args:
        camera: projects `points` (K, 3), in world axes.
        points: see there.
        margins: (K,) metres under the visible surface at which a joint still counts as visible.
        depth: (k * H, k * W), the nearest surface.
        cover: (H, W), above 0.5 where something is in front of everything.
    """
    height, width = cover.shape
    joints = np.zeros((len(points), 3), np.float32)
    for i, (x, y, z) in enumerate(camera.project(points)):
        column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        if not (0 <= column < width and 0 <= row < height):
            continue
        k = _OVERSAMPLE
        nearest = depth[row * k : row * k + k, column * k : column * k + k].max()
        hidden = nearest < z - margins[i] - 0.02 or cover[row, column] > 0.5
        joints[i] = (x, y, 1 if hidden else 2)
    return joints


def _photographed(rng: np.random.Generator, picture: NDArray) -> NDArray[np.uint8]:
    """Exposure, colour cast, contrast, vignette, blur, grain and an earlier JPEG file; (H, W, 3) uint8."""
    height, width = picture.shape[:2]
    picture = np.clip(picture, 0, 1.6)
    picture = picture * np.exp(rng.normal(0, 0.22)) * (1 + rng.normal(0, 0.05, 3))
    grey = picture.mean()
    picture = (picture - grey) * rng.uniform(0.7, 1.25) + grey
    picture = np.clip(picture, 0, None)
    picture = 1 - np.exp(-1.6 * picture) if rng.random() < 0.3 else picture
    if rng.random() < 0.2:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        picture = picture * (1 - rng.uniform(0.1, 0.4) * (x * x + y * y) / 2)[..., None]
    if rng.random() < 0.06:
        picture = np.repeat(picture.mean(-1, keepdims=True), 3, axis=-1)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    blur = rng.random()
    if blur < 0.45:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.4)))
    elif blur < 0.6:  # a photograph enlarged from a small one
        share = rng.uniform(0.35, 0.8)
        image = image.resize((int(width * share), int(height * share)), Image.Resampling.BILINEAR).resize(
            (width, height), Image.Resampling.BICUBIC
        )
    if rng.random() < 0.55:
        grain = rng.normal(0, rng.exponential(4) + 1, (height, width, 3 if rng.random() < 0.5 else 1))
        image = Image.fromarray(np.clip(np.asarray(image, np.float32) + grain, 0, 255).astype(np.uint8))
    if rng.random() < 0.4:
        held = io.BytesIO()
        image.save(held, "JPEG", quality=int(rng.integers(30, 85)))
        image = Image.open(held).convert("RGB")
    return np.asarray(image)
