"""The people's bodies: Anny's parametric mesh, posed by joint angles, with COCO's joints.

Axes: x to the person's left, y backwards, z up; metres. Anny (code Apache-2.0, data CC0) gives shapes, skinning weights
and the joints' places as weighted vertices; the kinematics are ours, so that clothes can be put on before skinning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .poses import bone_rotations
from .raster import blend_shapes, skin_vertices, vertex_normals

PARTS = ("trunk", "arm", "hand", "leg", "foot", "head", "eye", "iris", "lips")
COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip


Array = NDArray[np.float32]


@dataclass(frozen=True)
class PosedBody:
    """One body in world axes, its root at the origin."""

    vertices: Array  # (V, 3)
    joints: Array  # (17, 3), in the order of COCO_JOINTS
    own: Array  # (3, 3), in the order of OWN_JOINTS; on the hair, where there is some
    bare: Array  # (V, 3) without clothes
    turns: Array  # (B, 3, 3)
    shifts: Array  # (B, 3): bone b takes v to turns[b] @ v + shifts[b]
    rest: Array  # (V, 3) without clothes, not posed
    rest_heads: Array  # (B, 3) where the bones begin, not posed


class BodyModel:
    """Anny's mesh as numpy arrays; loading takes seconds, and the first time on a machine more than a minute."""

    def __init__(self) -> None:
        import anny
        import torch

        model = anny.Anny().to(torch.float32)
        self._coefficients = model.get_phenotype_blendshape_coefficients
        self.bone_names: list[str] = list(model.bone_labels)
        self.bone_index = {name: i for i, name in enumerate(self.bone_names)}
        self.parents = [int(p) for p in model.bone_parents]
        self.faces = model.faces.numpy().astype(np.int32)  # (F, 3)
        self.template = model.template_vertices.numpy()  # (V, 3)
        self.shapes = model.blendshapes.numpy()  # (S, V, 3)
        self.template_heads = model.template_bone_heads.numpy()  # (B, 3)
        self.head_shapes = model.bone_heads_blendshapes.numpy()  # (S, B, 3)
        self.skin_bones = model.vertex_bone_indices.numpy().astype(np.int32)  # (V, K)
        self.skin_weights = model.vertex_bone_weights.numpy()  # (V, K)
        regressor = anny.KeypointsRegressor.coco(model, labels=list(COCO_JOINTS))
        self.joint_weights = regressor.regression_weights.numpy()  # (17, V)
        # The average body at rest; clothes are cut in its coordinates, with the hips' joints just below the origin.
        canonical, heads = self.rest_shape({})
        hips = self.joint_weights[11:13].mean(0) @ canonical
        origin = hips - np.array([0.0, -0.0115, -0.0317], np.float32)
        self.canonical, self.canonical_heads = canonical - origin, heads - origin
        self._label_parts()

    def rest_shape(self, phenotype: dict[str, float]) -> tuple[Array, Array]:
        """Vertices (V, 3) and bone heads (B, 3) of a body at rest; sliders in 0..1, those not named are 0.5."""
        coefficients = self._coefficients(**phenotype)[0].numpy()  # (S,)
        vertices = blend_shapes(self.template, self.shapes, coefficients)
        return vertices, blend_shapes(self.template_heads, self.head_shapes, coefficients)

    def _label_parts(self) -> None:
        """Find each vertex's limb, how far along it lies, and each face's body part."""
        main = self.skin_bones[np.arange(len(self.template)), self.skin_weights.argmax(1)]  # (V,)
        names = np.array(self.bone_names)[main]
        part = np.zeros(len(names), np.int8)
        prefixes = (
            ("upperarm", 1), ("lowerarm", 1), ("wrist", 2), ("finger", 2), ("metacarpal", 2), ("upperleg", 3),
            ("lowerleg", 3), ("foot", 4), ("toe", 4), ("head", 5), ("neck02", 5), ("neck03", 5), ("eye", 6),
        )  # fmt: skip
        for prefix, value in prefixes:
            part[np.char.startswith(names, prefix)] = value
        # The lips and the iris are found by their place on the average face.
        x, y, z = self.canonical.T
        eye = part == 6
        for side in ("L", "R"):
            centre = self.canonical_heads[self.bone_index[f"eye.{side}"]]
            near = np.hypot(x - centre[0], z - centre[2]) < 0.0085
            part[eye & near & (y < centre[1] - 0.004)] = 7
        part[(part == 5) & (np.abs(x) < 0.026) & (np.abs(z - 0.5825) < 0.0085) & (y < -0.105)] = 8
        corners = part[self.faces]  # (F, 3)
        self.face_part = np.median(corners, axis=1).astype(np.int8)
        for value in (6, 7, 8):
            self.face_part[(corners == value).all(1)] = value
        self.vertex_part = part
        self.own_vertices = [int(np.where(part == 5, z, -np.inf).argmax())]  # the highest of the head
        for side, sign in (("L", 1), ("R", -1)):  # and the farthest of each hand from its wrist
            wrist = self.canonical_heads[self.bone_index[f"wrist.{side}"]]
            reach = np.linalg.norm(self.canonical - wrist, axis=1)
            self.own_vertices.append(int(np.where((part == 2) & (x * sign > 0), reach, -np.inf).argmax()))
        self.along = np.zeros(len(part), np.float32)
        for limb, value in ((("upperarm01", "lowerarm01", "wrist"), 1), (("upperleg01", "lowerleg01", "foot"), 3)):
            for side, sign in (("L", 1), ("R", -1)):
                a, b, c = (self.canonical_heads[self.bone_index[f"{name}.{side}"]] for name in limb)
                mine = (x * sign > 0) & np.isin(part, (value, value + 1, 0))
                upper = ((self.canonical - a) @ (b - a)) / ((b - a) @ (b - a))
                lower = ((self.canonical - b) @ (c - b)) / ((c - b) @ (c - b))
                distance = np.where(lower > 0, 1 + np.maximum(lower, 0), np.minimum(upper, 1))
                limb_vertices = mine & np.isin(part, (value, value + 1))
                self.along[limb_vertices] = distance[limb_vertices]

    def pose(self, phenotype: dict[str, float], angles: NDArray, puff: Array | None = None) -> PosedBody:
        """Pose a body.

        Args:
            phenotype: Anny's sliders, 0..1.
            angles: joint angles in degrees, in the order of `poses.ANGLES`.
            puff: (V,) metres by which cloth and hair stand off the skin at rest.
        """
        rest, heads = self.rest_shape(phenotype)
        joints_rest = {name: heads[i] for i, name in enumerate(self.bone_names)}
        turns = bone_rotations(angles, self.bone_names, self.parents, joints_rest)  # (B, 3, 3)
        posed_heads = np.zeros_like(heads)
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                posed_heads[bone] = posed_heads[parent] + turns[parent] @ (heads[bone] - heads[parent])
        shifts = posed_heads - np.einsum("bij,bj->bi", turns, heads)
        turns, shifts = turns.astype(np.float32), shifts.astype(np.float32)
        bare = skin_vertices(rest, self.skin_bones, self.skin_weights, turns, shifts)
        joints = self.joint_weights @ bare  # (17, V) @ (V, 3)
        dressed = bare
        if puff is not None:
            padded = rest + puff[:, None] * vertex_normals(rest, self.faces)
            dressed = skin_vertices(padded, self.skin_bones, self.skin_weights, turns, shifts)
        own = dressed[self.own_vertices]
        return PosedBody(dressed, joints.astype(np.float32), own, bare, turns, shifts, rest, heads)
