"""Clothes, hair and skin: which part of the body wears which material, and how far it stands off the skin."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MATERIALS = (
    "skin", "top", "bottom", "shoes", "hair", "eye", "iris", "lips", "sole", "gloves", "inner", "socks", "brow",
    "glasses", "eye_shadow", "beard", "skirt", "thing0", "thing1", "thing2", "thing3", "thing4",
)  # fmt: skip
MATERIAL = {name: i for i, name in enumerate(MATERIALS)}
PATTERNS = ("plain", "stripes across", "stripes along", "checks", "print", "blotches", "photograph", "two halves")
# Columns of a person's cuts, on the average body at rest (metres, or 0..2 along a limb, see raster.shade).
CUTS = (
    "collar", "neckline", "hem", "sleeve", "gloves", "leg_end", "shaft", "shoes", "hair_front", "hair_back", "face",
    "open_front", "socks", "sole", "fold1", "fold2",
)  # fmt: skip
CUT = {name: i for i, name in enumerate(CUTS)}

# Skin from very dark to very light, sRGB 0..1; a few measured swatches, between which a tone is drawn.
_SKIN = (
    np.array(
        [[58, 40, 32], [88, 60, 44], [128, 88, 62], [164, 116, 84], [200, 150, 116], [224, 178, 146], [240, 204, 178]]
    )
    / 255
)
_HAIR = (
    np.array(
        [
            [22, 18, 16],
            [40, 28, 22],
            [66, 44, 30],
            [96, 64, 38],
            [140, 100, 56],
            [186, 150, 96],
            [150, 148, 146],
            [216, 214, 210],
            [120, 52, 28],
        ]
    )
    / 255
)


@dataclass(frozen=True)
class Outfit:
    """What a person wears."""

    cuts: NDArray[np.float32]  # (16,), in the order of CUTS
    materials: NDArray[np.float32]  # (M, 14), see raster._fabric
    puff: NDArray[np.float32]  # (V,) metres off the skin
    skirt: float  # length as a share of the leg; 0 for none
    hair: str  # "short", "long", "tail", "bun", "cap", "brim" or "helmet"


def any_colour(rng: np.random.Generator) -> Array:
    """A colour such as clothes and objects have: many dark, white and grey, some bright; sRGB 0..1."""
    kind = rng.random()
    if kind < 0.18:
        return np.clip(rng.uniform(0.03, 0.2) + rng.normal(0, 0.012, 3), 0, 1)
    if kind < 0.33:
        return np.clip(rng.uniform(0.8, 0.97) + rng.normal(0, 0.015, 3), 0, 1)
    if kind < 0.45:
        return np.clip(rng.uniform(0.2, 0.8) + rng.normal(0, 0.02, 3), 0, 1)
    hue, saturation = rng.random(), rng.uniform(0.1, 0.6) if kind < 0.83 else rng.uniform(0.6, 0.95)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.15, 0.95)))


def fabric(rng: np.random.Generator, textures: int, patterned: float = 0.5, folds: float = 0.2) -> Array:
    """One row of materials, (14,): colours, pattern, folds and gloss; `patterned` is the chance of a pattern."""
    row = np.zeros(14)
    row[0:3], row[3:6] = any_colour(rng), any_colour(rng)
    kind = (
        0 if rng.random() > patterned else int(rng.choice(len(PATTERNS), p=[0, 0.2, 0.08, 0.15, 0.25, 0.1, 0.12, 0.1]))
    )
    row[6] = kind
    row[7] = {4: rng.uniform(0.06, 0.16), 5: rng.uniform(0.05, 0.25), 6: rng.uniform(0.2, 0.8)}.get(
        kind, rng.uniform(0.015, 0.16)
    )
    row[8] = rng.uniform(0.2, 0.6)
    row[9] = folds * rng.uniform(0.3, 1.6)
    row[10] = rng.choice([0.0, 0.05, 0.25], p=[0.6, 0.3, 0.1])
    row[11] = rng.integers(max(textures, 1))
    row[12:14] = rng.uniform(-0.05, 0.05, 2) if kind == 4 else rng.uniform(0, 0.2, 2)
    return row


def _plain(colour: Array, gloss: float = 0.0) -> Array:
    row = np.zeros(14)
    row[0:3] = row[3:6] = np.clip(colour, 0, 1)
    row[7], row[10] = 1.0, gloss
    return row


def _between(table: Array, where: float) -> Array:
    position = where * (len(table) - 1)
    i = min(int(position), len(table) - 2)
    return table[i] + (position - i) * (table[i + 1] - table[i])


def dress(
    rng: np.random.Generator,
    canonical: NDArray,
    along: NDArray,
    part: NDArray,
    gender: float,
    family: str,
    textures: int,
) -> Outfit:
    """Choose an outfit that goes with the pose: skiers are wrapped up, surfers often wear little.

    Args:
        canonical: (V, 3) vertices of the average body at rest.
        along: (V,) how far along the limb; part: (V,) see body.PARTS.
        gender: Anny's slider, 1 for female.
        family: the pose's family (see poses.FAMILY).
        textures: how many pieces of photographs there are to print on cloth.
    """
    materials = np.stack([fabric(rng, textures, 0.35) for _ in MATERIALS])
    cuts = np.zeros(len(CUTS))
    skin = _between(_SKIN, rng.beta(1.6, 1.1)) * rng.uniform(0.9, 1.08) + rng.normal(0, 0.01, 3)
    hair = _HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.7, 1.3)
    cold = family == "ski" or rng.random() < 0.2
    light = not cold and (rng.random() < (0.45 if family in ("board", "swing", "run", "kick", "jump") else 0.15))
    cuts[CUT["collar"]] = rng.uniform(0.485, 0.53) if cold else rng.uniform(0.44, 0.5)
    cuts[CUT["neckline"]] = 0.0 if cold else -rng.choice([0.0, rng.uniform(0, 0.16)])
    cuts[CUT["hem"]] = rng.choice([rng.uniform(-0.03, 0.08), rng.uniform(-0.14, -0.03)])
    cuts[CUT["sleeve"]] = (
        2.2
        if cold
        else rng.choice([0.05, rng.uniform(0.3, 0.85), rng.uniform(0.9, 1.6), 1.95], p=[0.12, 0.45, 0.08, 0.35])
    )
    cuts[CUT["gloves"]] = 1.0 if rng.random() < (0.8 if family == "ski" else 0.05) else -1.0
    cuts[CUT["leg_end"]] = (
        rng.uniform(0.35, 1.05)
        if light or rng.random() < 0.18
        else rng.choice([rng.uniform(1.2, 1.8), rng.uniform(1.9, 2.2)], p=[0.12, 0.88])
    )
    cuts[CUT["shaft"]] = rng.uniform(1.2, 1.6) if family == "ski" or rng.random() < 0.08 else rng.uniform(1.88, 2.1)
    cuts[CUT["socks"]] = rng.uniform(1.3, 2.1)
    cuts[CUT["shoes"]] = -1.0 if rng.random() < (0.6 if family == "board" else 0.07) else 1.0
    cuts[CUT["sole"]] = rng.choice([-1.0, 1.0])
    cuts[CUT["open_front"]] = rng.uniform(0.02, 0.09) if rng.random() < 0.15 else -1.0
    cuts[CUT["fold1"]], cuts[CUT["fold2"]] = rng.uniform(0, 6.3, 2)
    bare_chest = light and gender < 0.5 and rng.random() < 0.3
    if bare_chest:
        cuts[CUT["collar"]], cuts[CUT["neckline"]], cuts[CUT["hem"]], cuts[CUT["sleeve"]] = 0.03, 0.0, 0.03, -9.0
        cuts[CUT["open_front"]] = -1.0
    style = rng.choice(["short", "long", "tail", "bun", "cap", "brim", "helmet"], p=_hair_odds(gender, family))
    bald = style == "short" and gender < 0.5 and rng.random() < 0.12
    cuts[CUT["hair_front"]] = 1.3 if bald else rng.uniform(0.68, 0.86)
    cuts[CUT["hair_back"]] = 1.3 if bald else rng.uniform(0.15, 0.45)
    headgear = style in ("cap", "brim", "helmet")
    if headgear:
        cuts[CUT["hair_front"]], cuts[CUT["hair_back"]] = rng.uniform(0.7, 0.78), rng.uniform(0.35, 0.5)
        hair = any_colour(rng)
    beard = gender < 0.5 and rng.random() < 0.25
    glasses = rng.random() < (0.5 if family == "ski" else 0.07)
    cuts[CUT["face"]] = (1 if beard else 0) + (2 if glasses else 0)

    whole = rng.random() < (0.25 if cold or family == "board" else 0.06)  # overalls, wetsuits, uniforms
    if whole:
        materials[MATERIAL["bottom"]] = materials[MATERIAL["top"]]
    elif rng.random() < 0.4:  # jeans and dark trousers are more common than a uniform draw would make them
        tint = np.array([0.55, 0.75, 1.15]) if rng.random() < 0.6 else np.ones(3)
        materials[MATERIAL["bottom"]][0:3] = np.clip(rng.uniform(0.1, 0.5) * tint, 0, 1)
        materials[MATERIAL["bottom"]][6] = 0
    materials[MATERIAL["skirt"]] = materials[MATERIAL["top" if rng.random() < 0.5 else "bottom"]]
    skin_row = _plain(skin, 0.12)
    skin_row[3:6], skin_row[9] = skin * np.array([1.0, 0.93, 0.9]), 0.03
    for name, row in {
        "skin": skin_row,
        "hair": _plain(hair, 0.15),
        "eye": _plain(np.array([0.82, 0.8, 0.78]) * (0.6 + 0.4 * skin.mean()), 0.1),
        "iris": _plain(rng.uniform(0.03, 0.2) * np.array([1.0, 0.85, 0.7])),
        "lips": _plain(
            skin
            * (np.array([0.95, 0.55, 0.55]) if gender > 0.5 and rng.random() < 0.5 else np.array([0.86, 0.68, 0.66]))
        ),
        "brow": _plain(np.minimum(hair if not headgear else _HAIR[rng.integers(6)], skin) * 0.6),
        "glasses": _plain(rng.uniform(0.02, 0.12, 3), 0.6),
        "eye_shadow": _plain(skin * rng.uniform(0.42, 0.7)),
        "beard": _plain(0.35 * skin + 0.65 * _HAIR[rng.integers(7)] * 0.8),
    }.items():
        materials[MATERIAL[name]] = row
    if not headgear:
        materials[MATERIAL["hair"]][9] = 0.35  # strands
    for name in ("shoes", "sole", "gloves", "socks"):
        materials[MATERIAL[name]][6] = 0
        materials[MATERIAL[name]][9] *= 0.4

    skirted = not cold and gender > 0.5 and family in ("upright", "walk", "sit", "swing") and rng.random() < 0.25
    skirt = float(rng.uniform(0.3, 0.95)) if skirted else 0.0
    if skirted:
        cuts[CUT["leg_end"]] = 0.25
    puff = _puff(rng, canonical, along, part, cuts, cold, headgear)
    return Outfit(cuts.astype(np.float32), materials.astype(np.float32), puff, skirt, str(style))


def _hair_odds(gender: float, family: str) -> list[float]:
    if family in ("ski", "ride"):
        return [0.1, 0.1, 0.05, 0.0, 0.15, 0.0, 0.6]
    if gender > 0.5:
        return [0.27, 0.35, 0.16, 0.08, 0.06, 0.05, 0.03]
    return [0.66, 0.04, 0.02, 0.01, 0.17, 0.06, 0.04]


def _puff(
    rng: np.random.Generator, canonical: NDArray, along: NDArray, part: NDArray, cuts: Array, cold: bool, headgear: bool
) -> NDArray[np.float32]:
    x, y, z = canonical.T
    puff = np.zeros(len(x))
    loose = rng.uniform(0.012, 0.035) if cold else rng.choice([rng.uniform(0.002, 0.008), rng.uniform(0.006, 0.024)])
    top = ((part == 0) & (z > cuts[CUT["hem"]]) & (z < cuts[CUT["collar"]])) | (
        (part == 1) & (along < cuts[CUT["sleeve"]])
    )
    puff[top] = loose
    # Loose shirts fall straight from the chest rather than follow the waist.
    puff[(part == 0) & (z < 0.25) & (z > cuts[CUT["hem"]])] += 0.5 * loose
    wide = rng.uniform(0.012, 0.03) if cold else rng.choice([rng.uniform(0.001, 0.006), rng.uniform(0.005, 0.028)])
    legs = (part == 3) & (along < cuts[CUT["leg_end"]])
    puff[legs] = wide * (0.5 + 0.5 * np.clip(along[legs], 0, 2))
    puff[(part == 0) & (z <= cuts[CUT["hem"]])] = 0.4 * wide
    if cuts[CUT["shoes"]] > 0:
        puff[part == 4] = rng.uniform(0.004, 0.012)
    phase = rng.uniform(0, 6.3, 3)
    waves = np.sin(21 * z + phase[0] + 2 * np.sin(17 * x + phase[1])) + np.sin(33 * x + 27 * z + phase[2])
    puff *= 1 + 0.2 * waves
    back = (y + 0.125) / 0.215
    front, behind = cuts[CUT["hair_front"]], cuts[CUT["hair_back"]]
    line = np.interp(back, [0.2, 0.3, 0.62, 0.7], [front, front, behind + 0.2, behind])
    over = np.clip(((z - 0.525) / 0.235 - line) / 0.12, 0, 1)
    height = rng.uniform(0.012, 0.03) if headgear else rng.uniform(0.004, 0.032)
    head = part == 5
    puff[head] = (height * over * (1 + 0.12 * waves))[head]
    return puff.astype(np.float32)
