"""The network against the public implementation, its three pooling modes, its refusals and its fuse step."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import bounds
import numpy as np
import pytest
import torch
from reference import SIZES, reference_error, reference_input, reference_keys, reference_model, reference_state
from tiny import tiny_model
from torch.nn import functional as F

import litehrnet
from litehrnet.blocks import (
    FUSE_STEPS,
    SHUFFLE_FORMS,
    ChannelShuffle,
    FuseStep,
    RepeatedBatchNorm,
    channel_shuffle,
)
from litehrnet.checkpoints import CheckpointNote, loading, save_weights
from litehrnet.fusion import fuse
from litehrnet.model import (
    check_finite,
    count_parameters,
    pooling_of,
    set_pooling,
    set_shuffle,
    shared_copy,
    with_fuse_step,
)
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


@pytest.mark.numeric
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_heatmaps_are_the_public_ones(name: str, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        heatmaps = reference_model(name)(reference_input(size))
    assert heatmaps.shape == (1, 17, size[0] // 4, size[1] // 4)
    bounds.within(reference_error(name, size, heatmaps), 1e-4)


@pytest.mark.parametrize("mode", ["computed", "exact"])
def test_pooling_modes_share_one_state_dict(mode: str) -> None:
    plain, other = (
        litehrnet.create_model("litehrnet18", pooling=pooling).state_dict() for pooling in ("adaptive", mode)
    )
    assert {key: value.shape for key, value in plain.items()} == {key: value.shape for key, value in other.items()}


@pytest.mark.numeric
@pytest.mark.parametrize("size", RUNNING_SIZES, ids=lambda size: "x".join(map(str, size)))
def test_pooling_modes_agree(size: tuple[int, int]) -> None:
    model, images = reference_model("litehrnet18"), reference_input(size)
    with torch.inference_mode():
        wanted = model(images)
        for mode in ("computed", "exact"):
            got = litehrnet.set_pooling(model, mode)(images)
            assert model.pooling == mode
            bounds.same(got, wanted, 1e-4, mode)
    assert wanted.shape[2:] == tuple(-(-side // 4) for side in size)


@pytest.mark.numeric
def test_a_batch_is_its_images() -> None:
    model, images = reference_model("litehrnet18"), reference_input((64, 96), batch=3)
    with torch.inference_mode():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    bounds.same(together, alone, 1e-4)


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
    with pytest.raises(ValueError) as caught:
        model(images)
    assert not ran
    return str(caught.value)


@pytest.mark.parametrize(
    ("size", "around"),
    [
        ((480, 854), "widths are 829 to 832 and 861 to 864"),
        ((250, 190), "heights are 221 to 224 and 253 to 256"),
        ((270, 270), "heights are 253 to 256 and 285 to 288, the nearest widths are 253 to 256 and 285 to 288"),
        ((33, 33), "widths are 29 to 32 and 61 to 64"),
        ((28, 28), "heights are 29 to 32, the nearest widths are 29 to 32"),
        ((256, 188), "widths are 157 to 160 and 189 to 192"),
    ],
)
def test_sizes_that_cannot_run_are_refused_with_their_neighbours(size: tuple[int, int], around: str) -> None:
    message = refused(torch.zeros(1, 3, *size))
    assert f"{size[0]}x{size[1]}" in message
    assert message.endswith(f"the nearest {around}")


def test_every_side_is_legal_or_fails_in_the_network() -> None:
    """The rule of legal sides is no guess: without the check, exactly the other sides break down."""
    model = litehrnet.create_model("litehrnet18")
    for side in range(27, 68):
        try:
            with torch.inference_mode():
                model.head(model.backbone(torch.zeros(1, 3, side, 32)))
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
    for joints in (0, -1, 1.5, True, "17"):
        with pytest.raises(ValueError, match="num_joints"):
            litehrnet.create_model("litehrnet18", joints)
    for name in (["litehrnet18"], None, 18):
        with pytest.raises(ValueError, match="unknown variant"):
            litehrnet.create_model(name)


def test_counts_of_any_integer_type() -> None:
    for joints in (np.int64(5), np.uint8(5)):
        model = litehrnet.create_model("naive_litehrnet18", joints)
        assert type(model.num_joints) is int and model.num_joints == 5


def test_lists_of_names() -> None:
    assert litehrnet.list_models() == NAMES
    assert litehrnet.list_models("*naive*") == ["naive_litehrnet18", "wider_naive_litehrnet18"]
    assert litehrnet.list_models("resnet*") == []


def test_a_model_with_weights() -> None:
    images, expected = reference_input((64, 32)), litehrnet.load_pretrained("litehrnet18")
    state = expected.state_dict()
    for pretrained in (True, "litehrnet18"):
        model = litehrnet.create_model("litehrnet18", pooling="exact", pretrained=pretrained)
        assert (model.num_joints, model.pooling, model.training) == (17, "exact", False)
        assert (model.joints, model.trained_size) == (expected.joints, expected.trained_size)
        assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    with pytest.warns(CheckpointNote, match="head for 5 joints is new"):
        hand = litehrnet.create_model("litehrnet18", 5, pretrained=True)
    with torch.inference_mode():
        assert torch.equal(hand.features(images), expected.features(images))


def test_weights_take_their_own_number_of_joints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand = tmp_path / "hand.safetensors"
    save_weights(litehrnet.create_model("litehrnet18", 21), hand)
    monkeypatch.setattr(loading, "fetch", lambda public: hand)  # instead of a download
    model = litehrnet.create_model("litehrnet18", pretrained="litehrnet_w18_coco_wholebody_hand_256x256")
    assert (model.num_joints, len(model.joints), model.trained_size) == (21, 21, (256, 256))


def test_weights_that_do_not_fit_are_refused() -> None:
    for name in NAMES[1:]:
        with pytest.raises(ValueError, match=f"no weights of {name} come with the package.*litehrnet30_coco_256x192"):
            litehrnet.create_model(name, pretrained=True)
    with pytest.raises(ValueError, match="'litehrnet18' belong to litehrnet18, not to naive_litehrnet18"):
        litehrnet.create_model("naive_litehrnet18", pretrained="litehrnet18")
    for weights in ("litehrnet31_coco_256x192", None, 1, 0):
        with pytest.raises(ValueError, match="unknown weights"):
            litehrnet.create_model("litehrnet18", pretrained=weights)
    with pytest.raises(ValueError, match="unknown pooling"):
        litehrnet.create_model("litehrnet18", pooling="average", pretrained=True)


@pytest.mark.parametrize("name", NAMES)
def test_no_attribute_hides_one_of_torchs_methods(name: str) -> None:
    model = litehrnet.create_model(name)
    for network in (model, fuse(model, (32, 32))):
        for path, part in network.named_modules():
            hidden = {key for key in vars(part) if callable(getattr(torch.nn.Module, key, None))}
            assert not hidden, (path, hidden)
            assert next(part.half().parameters(), torch.zeros(1).half()).dtype == torch.float16


# ----------------------------------------------------------------------------------------- one forward, and features


@pytest.mark.parametrize("size", [(64, 32), (93, 64)])
def test_features_are_what_the_head_turns_into_heatmaps(size: tuple[int, int]) -> None:
    model, images = reference_model("naive_litehrnet18"), reference_input(size, batch=2)
    with torch.inference_mode():
        features = model.features(images)
        assert torch.equal(model.head(features), model(images))
    assert features.shape == (2, 30, -(-size[0] // 4), -(-size[1] // 4))


def test_features_refuse_what_forward_refuses() -> None:
    with pytest.raises(ValueError, match="65x32"):
        reference_model("litehrnet18").features(torch.zeros(1, 3, 65, 32))


@pytest.mark.numeric
def test_a_traced_network_is_not_tied_to_one_size() -> None:
    model = tiny_model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit is on its way out
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(set_shuffle(model, "index"), reference_input((64, 32)))
    with torch.inference_mode():
        for size in ((64, 32), (96, 128)):
            bounds.same(traced(reference_input(size, 2)), model(reference_input(size, 2)), 1e-4)


def test_scripting_is_refused_in_one_sentence() -> None:
    for holder in (tiny_model(), torch.nn.Sequential(tiny_model())):
        with pytest.raises(ValueError, match=r"torch\.jit\.script cannot compile.*torch\.jit\.trace"):
            torch.jit.script(holder)


@pytest.mark.numeric
@pytest.mark.parametrize("pooling", ["adaptive", "computed"])
def test_exported_with_a_free_size(pooling: str) -> None:
    model, dim = tiny_model(pooling), torch.export.Dim
    shapes = ({0: dim("n"), 2: 32 * dim("h", min=2), 3: 32 * dim("w", min=2)},)
    program = torch.export.export(model, (torch.zeros(2, 3, 64, 96),), dynamic_shapes=shapes)
    for size in ((96, 64), (128, 192)):
        images = reference_input(size, 3)
        with torch.inference_mode():
            bounds.same(program.module()(images), model(images), 1e-4)


@pytest.mark.numeric
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled(backend: str) -> None:
    model = tiny_model("computed")
    compiled, images = torch.compile(model, backend=backend), reference_input((64, 32), 2)
    with torch.inference_mode():
        bounds.same(compiled(images), model(images), 1e-4)


INDUCTOR = """
import torch
from litehrnet.blocks import ConditionalChannelWeighting
torch.manual_seed(0)
block = ConditionalChannelWeighting((8, 16), "computed").eval()
maps = [torch.randn(2, 8, 16, 8), torch.randn(2, 16, 8, 4)]
with torch.inference_mode():
    for got, wanted in zip(torch.compile(block)(maps), block(maps), strict=True):
        assert got.shape == wanted.shape and (got - wanted).abs().max() <= 1e-4 * wanted.abs().max()
"""


@pytest.mark.numeric
@pytest.mark.slow
def test_compiled_by_inductor(tmp_path: Path) -> None:
    """One block: a whole network keeps the C++ compiler busy for minutes."""
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine")
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", INDUCTOR], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_copies_and_pickles_compute_the_same() -> None:
    model, images = tiny_model("exact"), reference_input((64, 32))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), shared_copy(model)):
        assert other is not model and other.pooling == "exact" and list(other.state_dict()) == list(model.state_dict())
        with torch.inference_mode():
            assert torch.equal(other(images), model(images))


def test_a_shared_copy_shares_weights_and_nothing_else() -> None:
    model = tiny_model("adaptive")
    other = set_pooling(set_shuffle(shared_copy(model).train(), "index"), "exact")
    assert model.pooling == "adaptive" and not any(part.training for part in model.modules())
    assert {part.form for part in model.modules() if isinstance(part, ChannelShuffle)} == {"reshape"}
    for mine, its in zip((*model.parameters(), *model.buffers()), (*other.parameters(), *other.buffers()), strict=True):
        assert mine is its


# ------------------------------------------------------------------------------------------------ pooling and shuffle


def test_the_pooling_is_read_from_the_modules() -> None:
    model = tiny_model("adaptive")
    assert (pooling_of(model), pooling_of(litehrnet.create_model("naive_litehrnet18", pooling="exact"))) == (
        "adaptive",
        None,
    )
    model.backbone.stage0[0].layers[0].cross_resolution_weighting.set_pooling("exact")
    assert model.pooling == "mixed"
    assert pooling_of(set_pooling(torch.nn.Sequential(model), "computed")) == model.pooling == "computed"
    assert pooling_of(fuse(model, (64, 32))) == "computed"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (torch.nn.Linear(2, 2), "Linear holds no Lite-HRNet"),
        (fuse(tiny_model(), (64, 32)), "fused network always computes its pooling"),
    ],
)
@pytest.mark.parametrize("mode", ["adaptive", "exact"])
def test_pooling_that_cannot_be_switched_is_refused(module: torch.nn.Module, words: str, mode: str) -> None:
    with pytest.raises(ValueError, match=words):
        set_pooling(module, mode)


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_the_forms_of_the_shuffle_compute_the_same(groups: int) -> None:
    x = torch.randn(2, 12, 5, 3)
    for form in SHUFFLE_FORMS:
        for memory in (torch.contiguous_format, torch.channels_last):
            got = ChannelShuffle(groups, form)(x.to(memory_format=memory))
            assert torch.equal(got, channel_shuffle(x, groups)), (form, memory)
    last = x.to(memory_format=torch.channels_last)
    assert ChannelShuffle(groups, "channels_last")(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.numeric
@pytest.mark.parametrize("name", NAMES)
def test_shuffles_are_switched_in_one_model_only(name: str) -> None:
    model, other, images = reference_model(name), reference_model(name), reference_input((64, 32))
    with torch.inference_mode():
        expected = model(images)
        for form in SHUFFLE_FORMS:
            got = set_shuffle(model, form)(images)
            bounds.same(got, expected, 1e-4)  # memory order changes the rounding
    assert {part.form for part in other.modules() if isinstance(part, ChannelShuffle)} == {"reshape"}
    with pytest.raises(ValueError, match="'reshape', 'index', 'channels_last'"):
        set_shuffle(model, "gather")


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("entry", ["backbone.stem.conv1.bn.running_var", "head.final_layer.bias"])
def test_values_that_are_not_finite_are_named(entry: str, bad: float) -> None:
    model = tiny_model()
    check_finite(model)
    with torch.no_grad():
        model.state_dict()[entry].view(-1)[1] = bad
    with pytest.raises(ValueError, match=rf"{entry} .*not finite.*load the weights again"):
        check_finite(model)
    with pytest.raises(ValueError, match="not finite"):
        fuse(model, (64, 32))


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


@pytest.mark.numeric
def test_fuse_step_is_the_public_one_and_not_the_tidy_one() -> None:
    step, xs = fuse_step()
    before = [x.clone() for x in xs]
    with torch.inference_mode():
        public, tidied = as_the_public_code_does(step, xs), tidy(step, xs)
        for kind, expected in {"lean": public, "public": public, "tidy": tidied}.items():
            for got, wanted in zip(FUSE_STEPS[kind].of(step)(xs), expected, strict=True):
                bounds.same(got, wanted, 1e-5)
    for x, kept in zip(xs, before, strict=True):
        assert torch.equal(x, kept)  # the caller's maps stay as they are
    for one, wrong in zip(public, tidied, strict=True):
        bounds.beyond(bounds.difference(wrong, one), 0.01, "another step")


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_with_another_fuse_step_has_the_same_keys_and_weights(name: str) -> None:
    model = reference_model(name)
    for kind in FUSE_STEPS:
        other = with_fuse_step(model, kind)
        assert list(other.state_dict()) == list(model.state_dict())
        other.load_state_dict(model.state_dict())
        assert {type(part) for part in other.modules() if isinstance(part, FuseStep)} == {FUSE_STEPS[kind]}
        assert not {id(p) for p in other.parameters()} & {id(p) for p in model.parameters()}
    assert {type(part) for part in model.modules() if isinstance(part, FuseStep)} == {FuseStep}


@pytest.mark.numeric
def test_a_tidy_network_gives_other_heatmaps_and_a_public_one_the_same() -> None:
    model, images = reference_model("litehrnet18"), reference_input((64, 96))
    with torch.inference_mode():
        bounds.beyond(reference_error("litehrnet18", (64, 96), with_fuse_step(model, "tidy")(images)), 0.01)
        assert torch.equal(with_fuse_step(model, "public")(images), model(images))


def test_fuse_steps_that_cannot_be_switched_are_refused() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match="'lean', 'public', 'tidy'"):
        with_fuse_step(model, "neat")
    with pytest.raises(ValueError, match="FusedLiteHRNet holds no fuse step"):
        with_fuse_step(fuse(model, (64, 32)), "public")
    with pytest.raises(ValueError, match="not the tidy one"):
        fuse(with_fuse_step(model, "tidy"), (64, 32))


def runs_of_paths(model: litehrnet.LiteHRNet) -> dict[str, int]:
    """How often each path of each fuse step runs, by stage, module, row and column."""
    runs: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, FuseStep):
            for i, row in enumerate(module):
                for j, path in enumerate(row):
                    key = f"{name}.{i}.{j}"
                    path.register_forward_hook(lambda *_, key=key: runs.update({key: runs.get(key, 0) + 1}))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 32, 32))
    return runs


def test_paths_from_branch_0_run_once_and_twice_in_the_public_order() -> None:
    model = litehrnet.create_model("litehrnet18")
    public = with_fuse_step(model, "public")
    runs, public_runs = runs_of_paths(model), runs_of_paths(public)
    first_columns = {key for key in runs if key.endswith(".0")}
    assert len(first_columns) == 2 * 2 + 4 * 3 + 2 * 4
    assert set(runs.values()) == {1}
    assert {key for key, count in public_runs.items() if count == 2} == first_columns


# ------------------------------------------------------------------------------------------------------- training


def one_step(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Gradients after one pass in train mode, and one step of plain gradient descent; returns the output."""
    model.train()
    output = model(images)
    output.square().mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.01 * parameter.grad
    model.eval()
    return output.detach()


@pytest.mark.numeric
@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0, None])
@pytest.mark.parametrize("name", ["litehrnet18", "naive_litehrnet18"])
def test_a_training_step_is_the_public_one(name: str, momentum: float | None) -> None:
    """The public order of work updates the norms of each row's first path twice a step; so does ours, in one pass."""
    ours = reference_model(name).double()
    for module in ours.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = momentum
            module.num_batches_tracked.fill_(3)
    public = with_fuse_step(ours, "public")
    plain = with_plain_norms(public)
    images = reference_input((96, 64), batch=4).double()
    same(one_step(ours, images), one_step(plain, images))
    for (key, value), wanted in zip(ours.state_dict().items(), plain.state_dict().values(), strict=True):
        same(value, wanted, key)
    for (key, mine), its in zip(ours.named_parameters(), plain.named_parameters(), strict=True):
        same(mine.grad, its[1].grad, key)
    with torch.inference_mode():
        same(ours(images), plain(images))
    counts = {int(value) for key, value in ours.state_dict().items() if key.endswith("num_batches_tracked")}
    assert counts == {3 + 1, 3 + 2}


def with_plain_norms(model: torch.nn.Module) -> torch.nn.Module:
    """Torch's own batch norms in place of ours, so that nothing but the order of work decides how often they update."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, RepeatedBatchNorm):
                norm = torch.nn.BatchNorm2d(child.num_features, momentum=child.momentum).to(child.weight.dtype)
                norm.load_state_dict(child.state_dict())
                setattr(parent, name, norm.train(child.training))
    assert not any(isinstance(module, RepeatedBatchNorm) for module in model.modules())
    return model


def same(got: torch.Tensor, wanted: torch.Tensor, what: str = "") -> None:
    assert got.shape == wanted.shape
    largest = float(wanted.abs().max())
    bounds.within(float((got - wanted).abs().max()) / max(largest, 1.0), 1e-10, what)


def test_a_frozen_norm_of_the_first_path_stays_frozen() -> None:
    model = tiny_model().train()
    frozen = model.backbone.stage0[0].fuse_layers[1][0][0][1].eval()
    assert isinstance(frozen, RepeatedBatchNorm) and frozen.repeats == 2
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    model(reference_input((32, 32), batch=2))
    assert all(torch.equal(value, before[key]) for key, value in frozen.state_dict().items())


def test_a_norm_without_statistics_normalises_by_the_batch() -> None:
    norm, plain = RepeatedBatchNorm(4, track_running_stats=False), torch.nn.BatchNorm2d(4, track_running_stats=False)
    x = torch.randn(3, 4, 5, 6)
    for mode in (True, False):
        assert torch.equal(norm.train(mode)(x), plain.train(mode)(x))


@pytest.mark.parametrize("name", NAMES)
def test_models_from_torch_hub(name: str) -> None:
    root = str(Path(__file__).resolve().parents[1])
    model = torch.hub.load(root, name, source="local", num_joints=5, pooling="computed")
    assert (model.variant.name, model.num_joints, model.pooling in ("computed", None)) == (name, 5, True)


def test_weights_from_torch_hub() -> None:
    root, images = str(Path(__file__).resolve().parents[1]), reference_input((64, 32))
    model = torch.hub.load(root, "litehrnet18", source="local", pretrained=True)
    with torch.inference_mode():
        assert torch.equal(model(images), litehrnet.load_pretrained("litehrnet18")(images))
    with pytest.raises(ValueError, match="belong to litehrnet18, not to litehrnet30"):
        torch.hub.load(root, "litehrnet30", source="local", pretrained="litehrnet18")
