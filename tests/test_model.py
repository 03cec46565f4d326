"""The network against the public implementation, its three pooling modes, its refusals and its fuse step."""

from __future__ import annotations

import pytest
import torch
from reference import SIZES, reference_error, reference_input, reference_keys, reference_model, reference_state
from torch.nn import functional as F

import litehrnet
from litehrnet.blocks import FuseStep
from litehrnet.model import count_parameters
from litehrnet.sizes import check_size, is_legal_side

NAMES = list(litehrnet.VARIANTS)
RUNNING_SIZES = (
    (32, 32),
    (64, 32),
    (96, 96),
    (253, 189),
    (256, 192),
    (256, 256),
    (320, 160),
    (384, 288),
    (480, 832),
)


@pytest.mark.parametrize("name", NAMES)
def test_keys_order_and_shapes(name: str) -> None:
    state = litehrnet.create_model(name).state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == reference_keys(name)


@pytest.mark.parametrize(
    ("name", "parameters", "entries"),
    [
        ("litehrnet18", 1_130_769, 1_418),
        ("litehrnet30", 1_763_717, 2_360),
        ("naive_litehrnet18", 760_365, 1_610),
        ("wider_naive_litehrnet18", 1_318_625, 1_610),
    ],
)
def test_parameters(name: str, parameters: int, entries: int) -> None:
    model = litehrnet.create_model(name)
    assert (count_parameters(model), len(model.state_dict())) == (parameters, entries)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_heatmaps_are_the_public_ones(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        heatmaps = reference_model(name)(reference_input(size))
    assert heatmaps.shape == (1, 17, size[0] // 4, size[1] // 4)
    assert reference_error(name, size, heatmaps) < 1e-5


@pytest.mark.parametrize("mode", ["computed", "exact"])
def test_pooling_modes_share_one_state_dict(mode: str) -> None:
    plain, other = (
        litehrnet.create_model("litehrnet18", pooling=pooling).state_dict() for pooling in ("adaptive", mode)
    )
    assert {key: value.shape for key, value in plain.items()} == {key: value.shape for key, value in other.items()}


@pytest.mark.parametrize("size", RUNNING_SIZES, ids=lambda size: "x".join(map(str, size)))
def test_pooling_modes_agree(size: tuple[int, int]) -> None:
    model, images = reference_model("litehrnet18"), reference_input(size)
    with torch.inference_mode():
        wanted = model(images)
        for mode in ("computed", "exact"):
            got = litehrnet.set_pooling(model, mode)(images)
            assert model.pooling == mode
            assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max(), mode
    assert wanted.shape[2:] == tuple(-(-side // 4) for side in size)


def test_a_batch_is_its_images() -> None:
    model, images = reference_model("litehrnet18"), reference_input((64, 96), batch=3)
    with torch.inference_mode():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5 * float(alone.abs().max()))


@pytest.mark.parametrize("joints", [1, 12, 16, 21])
def test_other_joint_counts(joints: int) -> None:
    assert litehrnet.create_model("litehrnet18", joints)(torch.zeros(1, 3, 32, 32)).shape == (1, joints, 8, 8)


# ------------------------------------------------------------------------------------------------------ refusals


def refused(images: torch.Tensor) -> str:
    """What the network says to `images`; it must say so before its first layer runs."""
    model = litehrnet.create_model("litehrnet18")
    ran = []
    for module in model.backbone.modules():
        module.register_forward_pre_hook(lambda *_: ran.append(1))
    with pytest.raises(ValueError) as told:
        model(images)
    assert not ran
    return str(told.value)


@pytest.mark.parametrize(
    ("size", "around"),
    [
        ((480, 854), "832 and 864"),
        ((250, 190), "224 and 256"),
        ((270, 270), "256 and 288"),
        ((33, 33), "32 and 64"),
        ((28, 28), "32"),
        ((256, 188), "160 and 192"),
    ],
)
def test_sizes_that_cannot_run_are_refused_with_their_neighbours(size: tuple[int, int], around: str) -> None:
    told = refused(torch.zeros(1, 3, *size))
    assert f"{size[0]}x{size[1]}" in told
    assert f"multiples of 32: {around})" in told


def test_every_side_is_legal_or_fails_in_the_network() -> None:
    """The rule of legal sides is no guess: without the check, exactly the other sides break down."""
    model = litehrnet.create_model("litehrnet18")
    for side in range(27, 68):
        try:
            with torch.inference_mode():
                model.heatmaps(torch.zeros(1, 3, side, 32))
            ran = True
        except RuntimeError:
            ran = False
        assert ran == is_legal_side(side), side


@pytest.mark.parametrize(
    ("images", "part"),
    [
        (torch.zeros(3, 64, 64), "4 dimensions"),
        (torch.zeros(1, 1, 3, 64, 64), "4 dimensions"),
        (torch.zeros(1, 4, 64, 64), "3 channels"),
        (torch.zeros(1, 64, 64, 3), "3 channels"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "floating point"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.float64), "images are torch.float64 and the weights torch.float32"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.float16), "call images.to(torch.float32)"),
    ],
)
def test_other_tensors_are_refused(images: torch.Tensor, part: str) -> None:
    assert part in refused(images)


def test_autocast_and_other_weights_may_be_of_another_dtype() -> None:
    model, images = litehrnet.create_model("litehrnet18"), torch.zeros(1, 3, 64, 32)
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16):
            assert model(images).dtype == model(images.bfloat16()).dtype == torch.bfloat16
        for dtype in (torch.float64, torch.bfloat16):
            assert model.to(dtype)(images.to(dtype)).dtype == dtype


@pytest.mark.parametrize("size", [(256,), (256, 192, 3), (256.0, 192), "256x192", (True, 32), (0, 32), (-32, 32)])
def test_check_size_refuses(size: object) -> None:
    with pytest.raises(ValueError):
        check_size(size)


def test_names_and_counts_are_checked() -> None:
    with pytest.raises(ValueError, match="litehrnet30"):
        litehrnet.create_model("litehrnet50")
    with pytest.raises(ValueError, match="computed"):
        litehrnet.create_model("litehrnet18", pooling="average")
    for joints in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="num_joints"):
            litehrnet.create_model("litehrnet18", joints)


# ------------------------------------------------------------------------------------------------- the fuse step


def fuse_step() -> tuple[FuseStep, list[torch.Tensor]]:
    step = FuseStep((8, 16, 32)).eval()
    step.load_state_dict(reference_state(step))
    generator = torch.Generator().manual_seed(0)
    return step, [torch.randn(2, 8 * 2**i, 16 // 2**i, 8 // 2**i, generator=generator) for i in range(3)]


def as_the_public_code_does(step: FuseStep, xs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Row by row, with its sum in place and its double visit of branch 0."""
    out, fused = [x.clone() for x in xs], []
    for i, row in enumerate(step):
        y = out[0] if i == 0 else row[0](out[0])
        for j in range(len(out)):
            y += out[j] if i == j else row[j](out[j])
        fused.append(F.relu(y))
    return fused


def tidy(step: FuseStep, xs: list[torch.Tensor]) -> list[torch.Tensor]:
    """What one expects a fuse step to be: every branch once, from the unchanged inputs."""
    return [F.relu(sum(path(x) for path, x in zip(row, xs, strict=True))) for row in step]


def test_fuse_step_is_the_public_one_and_not_the_tidy_one() -> None:
    step, xs = fuse_step()
    before = [x.clone() for x in xs]
    with torch.inference_mode():
        got, public, tidied = step(xs), as_the_public_code_does(step, xs), tidy(step, xs)
    for x, kept in zip(xs, before, strict=True):
        assert torch.equal(x, kept)  # the caller's maps stay as they are
    for one, other, wrong in zip(got, public, tidied, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        assert (one - wrong).abs().max() > 0.1 * other.abs().max()


def test_a_tidy_network_gives_other_heatmaps(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = reference_model("litehrnet18"), reference_input((64, 96))
    monkeypatch.setattr(FuseStep, "forward", tidy)
    with torch.inference_mode():
        assert reference_error("litehrnet18", (64, 96), model(images)) > 0.1


def test_paths_from_branch_0_run_once() -> None:
    model = litehrnet.create_model("litehrnet18")
    runs: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, FuseStep):
            for i, row in enumerate(module):
                for j, path in enumerate(row):
                    key = f"{name}.{i}.{j}"
                    path.register_forward_hook(lambda *_, key=key: runs.update({key: runs.get(key, 0) + 1}))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 32, 32))
    first_columns = {key: count for key, count in runs.items() if key.split(".")[-1] == "0"}
    assert len(first_columns) == 2 * 2 + 4 * 3 + 2 * 4
    assert set(runs.values()) == {1}
