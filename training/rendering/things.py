"""What people wear, hold, ride and sit on besides clothes: simple round and boxy meshes in the posed body's axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .body import BodyModel, PosedBody
from .raster import skin_vertices
from .wardrobe import MATERIAL, Outfit

Array = NDArray[np.float32]
IDENTITY: Array = np.eye(3, dtype=np.float32)


@dataclass(frozen=True)
class Thing:
    """A mesh with one material; `worn` things count as part of the person's outline."""

    vertices: Array  # (V, 3)
    faces: NDArray[np.int32]  # (F, 3)
    local: Array  # (V, 3) coordinates for patterns, metres
    material: int
    worn: bool


@cache
def _unit(power: float) -> tuple[Array, NDArray[np.int32]]:
    """A superellipsoid with half axes of 1: `power` 1 gives a ball, 0.2 nearly a box."""
    rows, columns = 9, 16
    theta = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    phi = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]

    def bent(value: NDArray) -> NDArray:
        return np.sign(value) * np.abs(value) ** power

    x = bent(np.cos(theta)) * bent(np.cos(phi))
    y = bent(np.cos(theta)) * bent(np.sin(phi))
    z = np.broadcast_to(bent(np.sin(theta)), x.shape)
    points = np.stack([x, y, z], -1).reshape(-1, 3)  # (rows * columns, 3)
    index = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(index, -1, axis=1)
    quads = np.stack([index[:-1], right[:-1], right[1:], index[1:]], -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return points.astype(np.float32), faces.astype(np.int32)


def blob(centre, half, turn=IDENTITY, material: int = 0, worn: bool = False, power: float = 1.0) -> Thing:
    """A superellipsoid at `centre` with half axes `half` (metres), turned by the 3x3 matrix `turn`."""
    points, faces = _unit(power)
    local = points * np.asarray(half, np.float32)
    vertices = local @ np.asarray(turn, np.float32).T + np.asarray(centre, np.float32)
    return Thing(vertices.astype(np.float32), faces, local, material, worn)


def _along(direction: NDArray) -> Array:
    """A rotation whose third axis is `direction`."""
    d = direction / (np.linalg.norm(direction) + 1e-9)
    side = np.cross(d, [0.0, 0.0, 1.0] if abs(d[2]) < 0.9 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(d, side), d], 1).astype(np.float32)


class _Anchors:
    """Places on one posed body, by bone."""

    def __init__(self, model: BodyModel, body: PosedBody) -> None:
        self.model, self.body = model, body
        self.size = float(np.ptp(body.rest[:, 2])) / 1.65

    def turn(self, bone: str) -> Array:
        return self.body.turns[self.model.bone_index[bone]]

    def at(self, bone: str, offset=(0.0, 0.0, 0.0)) -> Array:
        """A point that moves with the bone; `offset` from its head as the body rests, metres for 1.65 m of height."""
        i = self.model.bone_index[bone]
        rest = self.body.rest_heads[i] + self.size * np.asarray(offset, np.float32)
        return self.body.turns[i] @ rest + self.body.shifts[i]


def things_for(rng: np.random.Generator, model: BodyModel, body: PosedBody, outfit: Outfit, family: str) -> list[Thing]:
    """Hair, hats, bags, and what belongs to the family of poses, in the axes of the posed body."""
    anchors = _Anchors(model, body)
    return [
        *_hair(rng, anchors, outfit),
        *([_skirt(rng, model, body, outfit.skirt)] if outfit.skirt > 0 else []),
        *_bags(rng, anchors, family),
        *_held(rng, anchors, family),
        *_under(rng, anchors, family),
    ]


def _hair(rng: np.random.Generator, a: _Anchors, outfit: Outfit) -> list[Thing]:
    s, turn, hair = a.size, a.turn("head"), MATERIAL["hair"]

    def on_head(offset, half, power: float = 1.0) -> Thing:
        return blob(a.at("head", offset), np.multiply(half, s), turn, hair, True, power)

    match outfit.hair:
        case "long":
            length = rng.uniform(0.1, 0.2)
            return [on_head((0, 0.045, 0.085 - length * 0.7), (rng.uniform(0.085, 0.105), 0.065, length))]
        case "tail":
            length = rng.uniform(0.07, 0.13)
            return [on_head((0, 0.115, 0.06 - length * 0.6), (0.032, 0.04, length))]
        case "bun":
            return [on_head((0, rng.uniform(0.06, 0.1), rng.uniform(0.09, 0.15)), (0.042, 0.042, 0.04))]
        case "cap":
            return [on_head((0, -0.125, 0.092), (0.075, 0.075, 0.009))]
        case "brim":
            wide = rng.uniform(0.13, 0.2)
            return [on_head((0, 0.005, 0.088), (wide, wide * 1.05, 0.01))]
    return []


def _skirt(rng: np.random.Generator, model: BodyModel, body: PosedBody, length: float) -> Thing:
    """A cone from the waist that follows both thighs."""
    heads, index = body.rest_heads, model.bone_index
    hip, knee, ankle = (heads[index[f"{b}.L"]] for b in ("upperleg01", "lowerleg01", "foot"))
    top = hip[2] + 0.1 * (hip[2] - knee[2])
    bottom = hip[2] - length * (hip[2] - ankle[2])
    flare = rng.uniform(1.05, 1.9)
    rows, columns = 10, 24
    share = np.linspace(0, 1, rows)[:, None]
    phi = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]
    waist = body.rest[np.abs(body.rest[:, 2] - hip[2]) < 0.03]
    waist = waist[np.abs(waist[:, 0]) < 2.2 * hip[0]]
    wide, deep = np.abs(waist[:, 0]).max() + 0.015, np.ptp(waist[:, 1]) / 2 + 0.015
    middle = (waist[:, 1].max() + waist[:, 1].min()) / 2
    grow = np.interp(share, [0, 0.12, 1], [0.93, 1.0, flare]) * (1 + 0.05 * share * np.sin(7 * phi))
    drop = np.broadcast_to(top + share * (bottom - top), grow.shape)
    points = np.stack(
        [wide * grow * np.cos(phi), middle + deep * grow * np.sin(phi), drop], -1
    ).reshape(-1, 3).astype(np.float32)  # fmt: skip
    legs = np.clip(share * 2.2 - 0.15, 0, 1) * np.ones_like(phi)
    left = legs * np.clip(0.5 + np.cos(phi) * 0.7, 0, 1)
    weights = np.stack([1 - legs, left, legs - left], -1).reshape(-1, 3).astype(np.float32)
    bones = np.array([index["root"], index["upperleg02.L"], index["upperleg02.R"]], np.int32)
    bones = np.broadcast_to(bones, weights.shape).copy()
    grid = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(grid, -1, axis=1)
    quads = np.stack([grid[:-1], right[:-1], right[1:], grid[1:]], -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 2, 1]], quads[:, [0, 3, 2]]]).astype(np.int32)
    return Thing(skin_vertices(points, bones, weights, body.turns, body.shifts), faces, points, MATERIAL["skirt"], True)


def _bags(rng: np.random.Generator, a: _Anchors, family: str) -> list[Thing]:
    s, material = a.size, MATERIAL["thing0"]
    out = []
    if family in ("upright", "walk", "ski", "ride") and rng.random() < 0.12:
        half = np.multiply([rng.uniform(0.11, 0.17), rng.uniform(0.06, 0.12), rng.uniform(0.15, 0.25)], s)
        out.append(
            blob(a.at("spine01", (0, 0.2, rng.uniform(-0.16, -0.04))), half, a.turn("spine02"), material, False, 0.5)
        )
    if family in ("upright", "walk") and rng.random() < 0.1:
        side = rng.choice(["L", "R"])
        below = a.at(f"wrist.{side}") + np.array([0, 0, -rng.uniform(0.22, 0.34) * s])
        out.append(
            blob(
                below,
                np.multiply([0.06, rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.2)], s),
                IDENTITY,
                material,
                False,
                0.4,
            )
        )
    return out


def _held(rng: np.random.Generator, a: _Anchors, family: str) -> list[Thing]:
    """A stick, a racket, a ball, a telephone, a cup or ski poles."""
    out: list[Thing] = []
    s = a.size
    side = str(rng.choice(["L", "R"]))
    hand = a.at(f"finger3-1.{side}")
    across = a.at(f"finger2-1.{side}") - a.at(f"finger5-1.{side}")
    material = MATERIAL["thing1"]

    def stick(start: NDArray, direction: NDArray, length: float, thick: float, power: float = 0.8) -> Thing:
        d = direction / (np.linalg.norm(direction) + 1e-9)
        return blob(start + d * length / 2, (thick, thick, length / 2), _along(d), material, False, power)

    if family == "ski":
        for each in "LR":
            down = np.array([rng.normal(0, 0.15), rng.normal(0.25, 0.3), -1.0])
            out.append(stick(a.at(f"finger3-1.{each}"), down, 1.15 * s, 0.011))
    elif family == "swing" and rng.random() < 0.8:
        both = (a.at("finger3-1.L") + a.at("finger3-1.R")) / 2
        near = np.linalg.norm(a.at("wrist.L") - a.at("wrist.R")) < 0.3
        start = both if near else hand
        direction = across + 0.5 * (hand - a.at(f"wrist.{side}"))
        if near or rng.random() < 0.35:
            out.append(stick(start, direction, rng.uniform(0.75, 0.95), 0.028))
        else:
            d = direction / np.linalg.norm(direction)
            out.append(stick(start, d, 0.4, 0.013))
            out.append(blob(start + d * 0.52, (0.12, 0.012, 0.155), _along(d), MATERIAL["thing2"]))
    elif family in ("upright", "walk", "sit") and rng.random() < 0.3:
        shape = rng.integers(4)
        place = hand + 0.5 * (a.at(f"finger3-2.{side}") - hand)
        turn = a.turn(f"wrist.{side}")
        if shape == 0:
            out.append(blob(place, (0.036, 0.006, 0.075), _along(across), material, False, 0.25))
        elif shape == 1:
            out.append(blob(place, (0.035, 0.035, 0.06), _along(across), material, False, 0.5))
        elif shape == 2:
            out.append(stick(hand - 0.1 * across, across, rng.uniform(0.3, 1.1), rng.uniform(0.006, 0.02)))
        else:
            out.append(blob(place, rng.uniform(0.04, 0.17, 3), turn, material, False, float(rng.choice([0.3, 1.0]))))
    if family in ("kick", "swing", "jump", "crouch", "run") and rng.random() < 0.35:
        radius = rng.uniform(0.035, 0.12)
        centre = a.body.joints[rng.integers(17)] + rng.normal(0, 0.35, 3)
        out.append(blob(centre, (radius,) * 3, IDENTITY, MATERIAL["thing2"]))
    return out


def _under(rng: np.random.Generator, a: _Anchors, family: str) -> list[Thing]:
    """Skis, boards, vehicles, chairs and tables, roughly."""
    s, seat = a.size, a.at("root")
    one, two, three = MATERIAL["thing3"], MATERIAL["thing4"], MATERIAL["thing2"]
    feet = {side: a.at(f"toe3-1.{side}") for side in "LR"}
    if family == "ski":
        return [
            blob(
                a.at(f"foot.{side}", (0.01, -0.1, -0.075)),
                (0.05, 0.85 * s, 0.012),
                a.turn(f"foot.{side}"),
                one,
                False,
                0.4,
            )
            for side in "LR"
        ]
    if family == "board":
        heels = {side: a.at(f"foot.{side}", (0, -0.03, -0.085)) for side in "LR"}
        d = heels["L"] - heels["R"]
        length = rng.choice([0.75, 1.1, 1.5]) * s * 0.9
        turn = _along(d / np.linalg.norm(d))
        return [
            blob((heels["L"] + heels["R"]) / 2 + np.array([0, 0, -0.02]), (0.24, 0.03, length), turn, one, False, 0.8)
        ]
    if family == "ride":
        front = seat + np.array([0, -0.55, -0.3]) * s
        kind = rng.integers(3)
        if kind == 0:  # a horse's trunk, neck and head
            return [
                blob(seat + np.array([0, -0.25, -0.32]) * s, np.multiply((0.23, 0.75, 0.27), s), IDENTITY, one),
                blob(seat + np.array([0, -0.95, 0.05]) * s, np.multiply((0.1, 0.22, 0.42), s), _tilted(-35), one),
                blob(seat + np.array([0, -1.25, 0.3]) * s, np.multiply((0.08, 0.27, 0.1), s), _tilted(30), one),
            ]
        thick = 0.02 if kind == 1 else 0.08
        wheel = 0.33 * s
        low = min(feet["L"][2], feet["R"][2]) - 0.12
        hub = np.array([0.0, 0.0, low + wheel])
        grip = (a.at("wrist.L") + a.at("wrist.R")) / 2
        return [
            blob(hub + np.array([0, grip[1] - 0.1, 0]), (thick, wheel, wheel), IDENTITY, two, False, 0.9),
            blob(hub + np.array([0, seat[1] + 0.45, 0]), (thick, wheel, wheel), IDENTITY, two, False, 0.9),
            blob(
                front * [0, 1, 0] + [0, 0, (seat[2] + hub[2]) / 2],
                (max(0.03, thick * 1.4), 0.4, 0.05 + thick * 1.5),
                IDENTITY,
                one,
                False,
                0.6,
            ),
            blob(grip + np.array([0, -0.02, -0.02]), (0.3, 0.02, 0.02), IDENTITY, three),
        ]
    out: list[Thing] = []
    if family == "sit":
        if rng.random() < 0.75:
            wide = rng.uniform(0.22, 0.8)
            thick = rng.choice([0.02, 0.15])
            out.append(
                blob(seat + np.array([0, -0.12, -0.115 * s - thick]), (wide, 0.26, thick), IDENTITY, one, False, 0.3)
            )
            if rng.random() < 0.7:
                out.append(
                    blob(
                        seat + np.array([0, 0.2 + 0.03, 0.18]),
                        (wide, 0.04, rng.uniform(0.2, 0.5)),
                        IDENTITY,
                        one,
                        False,
                        0.3,
                    )
                )
        if rng.random() < 0.35:
            height = min(a.at("lowerarm01.L")[2], a.at("lowerarm01.R")[2]) - rng.uniform(0.05, 0.1)
            out.append(
                blob(
                    seat * [1, 1, 0] + [rng.normal(0, 0.2), -0.62 * s, height],
                    (rng.uniform(0.4, 1.0), 0.33, 0.02),
                    IDENTITY,
                    two,
                    False,
                    0.25,
                )
            )
            for _ in range(rng.integers(0, 4)):
                place = seat * [1, 1, 0] + [rng.normal(0, 0.25), -0.6 * s + rng.normal(0, 0.12), height + 0.06]
                out.append(
                    blob(place, rng.uniform(0.03, 0.11, 3), IDENTITY, three, False, float(rng.choice([0.4, 1.0])))
                )
    return out


def _tilted(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)
