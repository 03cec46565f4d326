"""A small z-buffer rasteriser and its shading, compiled by numba.

Screen coordinates: x to the right, y down, integer values are pixel centres. Depth grows away from the camera.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .wardrobe import CUTS, MATERIALS

# The rows of materials that the body wears, and the columns of cuts, in wardrobe's order.
SKIN, TOP, BOTTOM, SHOES, HAIR, EYE, IRIS, LIPS, SOLE, GLOVES, INNER, SOCKS, BROW, GLASSES, EYE_SHADOW, BEARD = (
    MATERIALS.index(name)
    for name in (
        "skin", "top", "bottom", "shoes", "hair", "eye", "iris", "lips", "sole", "gloves", "inner", "socks", "brow",
        "glasses", "eye_shadow", "beard",
    )
)  # fmt: skip
COLLAR, NECKLINE, HEM, SLEEVE, GLOVED, LEG_END, SHAFT, SHOD = (
    CUTS.index(name) for name in ("collar", "neckline", "hem", "sleeve", "gloves", "leg_end", "shaft", "shoes")
)
HAIR_FRONT, HAIR_BACK, FACE, OPEN_FRONT, SOCK_END, SOLED, FOLD1, FOLD2 = (
    CUTS.index(name) for name in ("hair_front", "hair_back", "face", "open_front", "socks", "sole", "fold1", "fold2")
)


@njit(cache=True)
def rasterise(
    points: np.ndarray, faces: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw triangles into a z-buffer.

    A triangle with a corner at a depth of 0.05 or less is left out, because it crosses the camera's plane. Depth is
    interpolated as 1 / depth, which is linear on the screen.

    Args:
        points: (V, 3) float32; x and y in pixels, depth in metres.
        faces: (F, 3) int32 indices into `points`; both sides of a face are drawn.
        height, width: size of the buffers in pixels.

    Returns:
        depth (H, W) float32, infinite where nothing was drawn; face (H, W) int32, -1 there;
        weights (H, W, 2) float32, the first two barycentric coordinates.

    >>> corners = np.array([[0, 0, 1], [8, 0, 1], [0, 8, 1]], np.float32)
    >>> depth, face, _ = rasterise(corners, np.array([[0, 1, 2]], np.int32), 4, 4)
    >>> int((face == 0).sum()), float(depth[1, 1])
    (16, 1.0)
    """
    depth = np.full((height, width), np.inf, np.float32)
    face = np.full((height, width), -1, np.int32)
    weights = np.zeros((height, width, 2), np.float32)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        za, zb, zc = points[a, 2], points[b, 2], points[c, 2]
        if min(za, zb, zc) <= 0.05:
            continue
        xa, ya, xb, yb, xc, yc = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        left, right = max(0, int(np.ceil(min(xa, xb, xc)))), min(width - 1, int(np.floor(max(xa, xb, xc))))
        top, bottom = max(0, int(np.ceil(min(ya, yb, yc)))), min(height - 1, int(np.floor(max(ya, yb, yc))))
        if left > right or top > bottom:
            continue
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if abs(area) < 1e-9:
            continue
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                wa = ((xb - x) * (yc - y) - (xc - x) * (yb - y)) / area
                wb = ((xc - x) * (ya - y) - (xa - x) * (yc - y)) / area
                wc = 1.0 - wa - wb
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                z = 1.0 / (wa / za + wb / zb + wc / zc)
                if z < depth[y, x]:
                    depth[y, x] = z
                    face[y, x] = f
                    weights[y, x, 0] = wa
                    weights[y, x, 1] = wb
    return depth, face, weights


@njit(cache=True)
def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) float32 of a mesh, each face weighted by its area."""
    normals = np.zeros(points.shape, np.float32)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(points.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) + 1e-12
        normals[v] /= length
    return normals


@njit(cache=True)
def blend_shapes(template: np.ndarray, shapes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`template` (V, 3) plus the sum of `shapes` (S, V, 3), each times its weight (S,)."""
    out = template.copy()
    for s in range(shapes.shape[0]):
        w = weights[s]
        if abs(w) > 1e-6:
            for v in range(out.shape[0]):
                for c in range(3):
                    out[v, c] += w * shapes[s, v, c]
    return out


@njit(cache=True)
def skin_vertices(
    rest: np.ndarray, bones: np.ndarray, weights: np.ndarray, turns: np.ndarray, shifts: np.ndarray
) -> np.ndarray:
    """Linear blend skinning.

    Args:
        rest: (V, 3) vertices at rest, metres.
        bones, weights: (V, K) which bones move a vertex, and how much; a row of weights sums to 1.
        turns, shifts: (B, 3, 3) and (B, 3); bone b takes v to turns[b] @ v + shifts[b].

    Returns:
        (V, 3) float32 posed vertices.
    """
    out = np.zeros(rest.shape, np.float32)
    for v in range(rest.shape[0]):
        x, y, z = rest[v, 0], rest[v, 1], rest[v, 2]
        for k in range(bones.shape[1]):
            w = weights[v, k]
            if w == 0.0:
                continue
            b = bones[v, k]
            for i in range(3):
                out[v, i] += w * (turns[b, i, 0] * x + turns[b, i, 1] * y + turns[b, i, 2] * z + shifts[b, i])
    return out


@njit(cache=True)
def _fabric(material: np.ndarray, x: float, y: float, z: float, textures: np.ndarray, rgb: np.ndarray) -> None:
    """Write the colour of one point of a material into `rgb`.

    A material is a row: 0..2 first colour, 3..5 second colour, 6 kind of pattern (see wardrobe.PATTERNS), 7 period in
    metres, 8 share of the second colour, 9 folds, 10 gloss, 11 texture's index, 12..13 offsets.
    """
    kind, period, share = int(material[6]), material[7], material[8]
    mix = 0.0
    if kind == 1:
        mix = 1.0 if ((z + material[12]) / period) % 1.0 < share else 0.0
    elif kind == 2:
        mix = 1.0 if ((x + material[12]) / period) % 1.0 < share else 0.0
    elif kind == 3:
        mix = 0.5 * (1.0 if ((z + material[12]) / period) % 1.0 < share else 0.0)
        mix += 0.5 * (1.0 if ((x + material[13]) / period) % 1.0 < share else 0.0)
    elif kind == 4:  # a print on the chest and the back
        u, w = (x + material[12]) / period, (z - 0.28 + material[13]) / period
        if u * u + w * w < 0.3:
            mix = 1.0 if np.sin(9.0 * u + material[12] * 50.0) * np.sin(7.0 * w + material[13] * 50.0) > -0.3 else 0.0
    elif kind == 5:  # blotches
        u, w, q = x / period, y / period, z / period
        mix = (
            1.0 if np.sin(u * 5.1 + 2.0 * np.sin(q * 3.3)) + np.sin(q * 4.7 + 2.0 * np.sin(w * 4.1 + u)) > 0.7 else 0.0
        )
    elif kind == 7:  # two halves, one above the other
        mix = 1.0 if z + material[12] > 0.28 else 0.0
    for c in range(3):
        rgb[c] = material[c] * (1.0 - mix) + material[3 + c] * mix
    if kind == 6:  # a piece of a photograph
        t = int(material[11])
        n = textures.shape[1]
        i = int(abs((z + material[12]) / period * n)) % n
        j = int(abs((x + 0.6 * y + material[13]) / period * n)) % n
        for c in range(3):
            rgb[c] = 0.35 * rgb[c] + 0.65 * textures[t, i, j, c]


@njit(cache=True)
def shade(
    face: np.ndarray,
    weights: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    canonical: np.ndarray,
    along: np.ndarray,
    part: np.ndarray,
    owner: np.ndarray,
    fixed: np.ndarray,
    cuts: np.ndarray,
    materials: np.ndarray,
    textures: np.ndarray,
    lights: np.ndarray,
    view: np.ndarray,
) -> np.ndarray:
    """Colour every pixel that a person or a thing covers.

    Args:
        face, weights: what `rasterise` returned.
        faces: (F, 3) vertex indices; normals: (V, 3) in world axes.
        canonical: (V, 3) where the vertex lies on the average body at rest, so that patterns stick to the cloth.
        along: (V,) how far along its limb: 0 shoulder or hip, 1 elbow or knee, 2 wrist or ankle.
        part: (F,) body part, see body.PARTS; owner: (F,) index of the person.
        fixed: (F,) the material's row of things that are not body, else -1.
        cuts: (P, 16) where each person's clothes end, see wardrobe.CUTS.
        materials: (P, M, 14), see `_fabric`; textures: (T, n, n, 3) floats in 0..1.
        lights: (L, 7) direction to the light (3), colour (3), how far it wraps around; the first row is ambient light,
            with the up direction.
        view: (3,) unit vector from the scene to the camera.

    Returns:
        (H, W, 3) float32, 0..1 and above where over-exposed; 0 where nothing was drawn.
    """
    height, width = face.shape
    out = np.zeros((height, width, 3), np.float32)
    rgb = np.zeros(3)
    for row in range(height):
        for col in range(width):
            f = face[row, col]
            if f < 0:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            wa, wb = weights[row, col, 0], weights[row, col, 1]
            wc = 1.0 - wa - wb
            x = wa * canonical[a, 0] + wb * canonical[b, 0] + wc * canonical[c, 0]
            y = wa * canonical[a, 1] + wb * canonical[b, 1] + wc * canonical[c, 1]
            z = wa * canonical[a, 2] + wb * canonical[b, 2] + wc * canonical[c, 2]
            t = wa * along[a] + wb * along[b] + wc * along[c]
            p = owner[f]
            cut = cuts[p]
            m = fixed[f]
            if m < 0:
                m = _material(part[f], x, y, z, t, cut)
            material = materials[p, m]
            _fabric(material, x, y, z, textures, rgb)
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            folds = material[9]
            if folds > 0.0:
                s1 = np.cos(31.0 * x + 47.0 * z + 3.0 * np.sin(23.0 * y + cut[FOLD1]))
                s2 = np.cos(59.0 * y - 38.0 * z + 3.0 * np.sin(29.0 * x + cut[FOLD2]))
                nx += folds * s1
                ny += folds * s2
                nz += folds * 0.7 * (s1 - s2)
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            if nx * view[0] + ny * view[1] + nz * view[2] < -0.25 and fixed[f] >= 0:
                nx, ny, nz = -nx, -ny, -nz  # the inside of a skirt or a brim
            for ch in range(3):
                sky = 0.5 + 0.5 * (nx * lights[0, 0] + ny * lights[0, 1] + nz * lights[0, 2])
                light = lights[0, 3 + ch] * (0.45 + 0.55 * sky)
                shine = 0.0
                for i in range(1, lights.shape[0]):
                    lx, ly, lz = lights[i, 0], lights[i, 1], lights[i, 2]
                    wrap = lights[i, 6]
                    d = (nx * lx + ny * ly + nz * lz + wrap) / (1.0 + wrap)
                    if d > 0.0:
                        light += d * lights[i, 3 + ch]
                        if material[10] > 0.0:
                            hx, hy, hz = lx + view[0], ly + view[1], lz + view[2]
                            h = (nx * hx + ny * hy + nz * hz) / (np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9)
                            if h > 0.7:
                                shine += material[10] * lights[i, 3 + ch] * h**24
                out[row, col, ch] = rgb[ch] * light + shine
    return out


@njit(cache=True)
def _material(part: int, x: float, y: float, z: float, t: float, cut: np.ndarray) -> int:
    """Row of the material that a point of the body wears (see wardrobe.MATERIALS)."""
    if part == 0:  # trunk
        if z > cut[COLLAR] + cut[NECKLINE] * max(0.0, 1.0 - abs(x) / 0.11) * (1.0 if y < 0.0 else 0.3):
            return SKIN
        if z > cut[HEM]:
            if cut[OPEN_FRONT] > 0.0 and abs(x) < cut[OPEN_FRONT] and y < 0.0:
                return INNER
            return TOP
        return BOTTOM
    if part == 1:  # arm
        return TOP if t < cut[SLEEVE] else SKIN
    if part == 2:  # hand
        return GLOVES if cut[GLOVED] > 0.0 else SKIN
    if part == 3:  # leg
        if z > cut[HEM] and t < 0.35:
            return TOP
        if t < cut[LEG_END]:
            return BOTTOM
        return SHOES if t > cut[SHAFT] else (SOCKS if t > cut[SOCK_END] else SKIN)
    if part == 4:  # foot
        if cut[SHOD] <= 0.0:
            return SKIN
        return SOLE if z < -0.825 and cut[SOLED] > 0.0 else SHOES
    if part == 6:
        return EYE
    if part == 7:
        return IRIS
    if part == 8:
        return LIPS
    # head: 0 at the face's front and 1 at the back; 0 at the chin and 1 at the crown
    back = (y + 0.125) / 0.215
    up = (z - 0.525) / 0.235
    line = cut[HAIR_FRONT]
    if back > 0.62:
        line = cut[HAIR_BACK]
    elif back > 0.25:
        line = cut[HAIR_FRONT] + (cut[HAIR_BACK] + 0.15 - cut[HAIR_FRONT]) * (back - 0.25) / 0.37
    if up > line:
        return HAIR
    ex = abs(x) - 0.031
    ez = z - 0.651
    if y < -0.06:
        if abs(ex) < 0.02 and abs(ez - 0.021 + 12.0 * ex * ex) < 0.0035:
            return BROW
        if cut[FACE] >= 2.0 and abs(x) < 0.07 and abs(ez) < 0.018:
            return GLASSES
        if abs(ez + 0.001) < 0.0068 and abs(ex) < 0.017:
            return EYE_SHADOW
        if abs(x) < 0.014 and y < -0.118 and abs(z - 0.602) < 0.003:
            return EYE_SHADOW  # nostrils
    if (
        (cut[FACE] == 1.0 or cut[FACE] == 3.0)
        and up > 0.04
        and y < -0.055
        and z < 0.6 + 0.3 * max(0.0, -0.11 - y - 0.02)
    ):
        return BEARD
    return SKIN
