"""Every rewrite keeps its identity, and the fused network computes what the plain one computes."""

from __future__ import annotations

import copy
import operator
import pkgutil
import re
from itertools import permutations

import pytest
import torch
from bounds import beyond, difference, proved, same
from torch import nn
from torch.nn import functional as F

import litehrnet
from litehrnet import fusion
from litehrnet.blocks import (
    ConditionalChannelWeighting,
    FuseStep,
    IterativeHead,
    ShuffleUnit,
    Stem,
    channel_shuffle,
    upsample_nearest,
)
from litehrnet.export import export_onnx
from litehrnet.fusion import REWRITES, TARGETS, fold_batch_norms, fuse
from litehrnet.fusion.blocks import Branches, FusedShuffleUnit, FusedWeighting
from litehrnet.fusion.exchange import FusedFuseStep, FusedHead, FusedStem, FusedTransition
from litehrnet.fusion.fold import folded_conv
from litehrnet.fusion.layout import ALWAYS_ONE, DEAD, Layout, depthwise, joined, pointwise
from litehrnet.fusion.recipe import Recipe
from litehrnet.fusion.rewrites import (
    average_of_averages,
    delayed_product,
    spread,
    sum_large,
    sum_small,
    with_upsampled,
    with_upsampled_by_blocks,
    with_upsampled_by_rows,
)
from litehrnet.measure.profile import reorders
from litehrnet.model import Transition

SIZE = (64, 96)
PADDED = Recipe(block=16, equal_shapes=True)
RECIPES = {
    "padded": PADDED,
    "narrow": Recipe(),
    "rows": Recipe(by_rows=True),
    "blocks": Recipe(by_blocks=True),
    "nothing": Recipe(False, False, False, False),
}


def use(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms as after training: on fresh ones a fusion that drops them altogether would pass."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return (low + (high - low) * torch.rand(like.shape, generator=generator)).to(like)

    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.copy_(uniform(part.running_mean, -0.3, 0.3))
                part.running_var.copy_(uniform(part.running_var, 0.5, 1.5))
                part.weight.copy_(uniform(part.weight, 0.5, 1.0))
                part.bias.copy_(uniform(part.bias, -0.3, 0.3))
    return module.eval()


def images(batch: int = 1, size: tuple[int, int] = SIZE, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1), dtype=dtype)


def maps(channels: list[int], side: int = 16, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """Branches as a ReLU leaves them."""
    generator = torch.Generator().manual_seed(2)
    return [
        torch.randn(2, c, side >> i, side >> i, generator=generator, dtype=dtype).relu() for i, c in enumerate(channels)
    ]


def place(x: torch.Tensor, layout: Layout) -> torch.Tensor:
    """From the public order into memory."""
    empty = torch.zeros_like(x[:, :1])
    return torch.cat([empty if n == DEAD else x[:, n : n + 1] for n in layout.numbers], 1) / scales(layout)


def take(x: torch.Tensor, layout: Layout) -> torch.Tensor:
    """From memory back into the public order."""
    return (x * scales(layout))[:, [layout.numbers.index(n) for n in range(layout.channels)]]


def scales(layout: Layout) -> torch.Tensor:
    return torch.tensor(layout.scales).reshape(1, -1, 1, 1)


def mixed(channels: int, block: int = 1, scale: float = 1.0) -> Layout:
    """A layout as it is after some blocks."""
    return Layout.plain(channels, block).shuffled().shuffled().shuffled().scaled(scale)


def assert_same(got: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-12) -> None:
    same(got, expected, tolerance)


def assert_same_heatmaps(got: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    """As `check_parity` judges: values, and peaks up to ties."""
    assert_same(got, expected, tolerance)
    flat = expected.flatten(2)
    at_got = flat.gather(2, got.flatten(2).argmax(2, keepdim=True))
    assert (flat.amax(2, keepdim=True) - at_got).max() <= tolerance * expected.abs().max()


# Folding


@pytest.mark.numeric
@pytest.mark.parametrize("options", [{}, {"bias": True}, {"stride": 2, "padding": 1, "kernel_size": 3}, {"groups": 6}])
@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_norm_disappears_into_its_convolution(options, affine):
    conv = nn.Conv2d(6, 12, **{"kernel_size": 1, "bias": False, **options}).double()
    norm = nn.BatchNorm2d(12, affine=affine).double()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    if affine:
        use(norm)
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    with torch.no_grad():
        assert_same(folded_conv(conv, norm.eval())(x), norm(conv(x)))


@pytest.mark.numeric
@pytest.mark.parametrize("options", [{"padding": 2, "dilation": 2}, {"padding": 1, "padding_mode": "reflect"}])
def test_a_folded_convolution_keeps_what_ours_never_use(options):
    conv, norm = nn.Conv2d(3, 4, 3, **options).double(), nn.BatchNorm2d(4).double()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    with torch.no_grad():
        norm(conv(x))  # used statistics
        assert_same(folded_conv(conv, norm.eval())(x), norm(conv(x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_folding_keeps_the_precision_and_touches_nothing(dtype):
    conv, norm = nn.Conv2d(3, 4, 3, stride=2).to(dtype), use(nn.BatchNorm2d(4)).to(dtype)
    before = copy.deepcopy((conv.state_dict(), norm.state_dict()))
    folded = folded_conv(conv, norm)
    assert {parameter.dtype for parameter in folded.parameters()} == {dtype}
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    for module, kept in zip((conv, norm), before, strict=True):
        assert all(torch.equal(value, kept[key]) for key, value in module.state_dict().items())


def test_a_network_is_fused_on_its_own_device():
    fused = fuse(litehrnet.create_model("litehrnet18").to("meta"), (64, 32))
    assert {parameter.device.type for parameter in fused.parameters()} == {"meta"}


def test_a_batch_norm_without_statistics_is_refused():
    with pytest.raises(ValueError, match="depends on the batch"):
        folded_conv(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))


@pytest.mark.numeric
def test_folding_leaves_no_batch_norm_and_the_model_as_it_was(used):
    before = copy.deepcopy(used.state_dict())
    with torch.no_grad():
        assert_same_heatmaps(fold_batch_norms(used)(images()), used(images()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fold_batch_norms(used).modules())
    assert all(torch.equal(value, before[key]) for key, value in used.state_dict().items())


def test_a_batch_norm_behind_nothing_is_named():
    with pytest.raises(ValueError, match="1"):
        fold_batch_norms(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)))


# Layouts


@pytest.mark.parametrize("channels", [2, 4, 8, 10, 40, 320])
@pytest.mark.parametrize("block", [1, 16])
def test_following_is_shuffling_without_moving(channels, block):
    x = torch.arange(float(channels)).reshape(1, -1, 1, 1)
    layout, moved = Layout.plain(channels, block), x
    memory = place(x, layout)
    for _ in range(5):
        layout, moved = layout.shuffled(), channel_shuffle(moved, 2)
        assert torch.equal(take(memory, layout), moved)


def test_padding_fills_the_last_block_and_no_more():
    for channels in range(1, 40):
        layout = Layout.plain(channels, 16)
        assert layout.channels == channels
        assert layout.positions % 16 == 0
        assert layout.positions - channels < 16


@pytest.mark.numeric
def test_a_pointwise_convolution_in_every_layout():
    conv = nn.Conv2d(3, 4, 1).double()
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    for columns in permutations((0, 1, 2, DEAD)):
        before, after = Layout(columns, (4.0, 1.0, 0.5, 2.0)), Layout((2, DEAD, 0, 3, 1), (0.5, 1.0, 4.0, 2.0, 8.0))
        with torch.no_grad():
            assert_same(take(pointwise(conv, before, after)(place(x, before)), after), conv(x))


@pytest.mark.numeric
def test_a_factor_multiplies_the_bias_too():
    conv = nn.Conv2d(3, 4, 1).double()
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    with torch.no_grad():
        assert_same(pointwise(conv, Layout.plain(3), Layout.plain(4), factor=2.0)(x), 2 * conv(x))


def test_dead_outputs_are_zero_or_meet_the_sigmoid_at_one():
    conv = nn.Conv2d(2, 2, 1)
    rows = Layout((1, DEAD, 0))
    x = torch.randn(1, 2, 3, 3)
    with torch.no_grad():
        assert (pointwise(conv, Layout.plain(2), rows)(x)[:, 1] == 0).all()
        ones = torch.sigmoid(pointwise(conv, Layout.plain(2), rows, dead_bias=ALWAYS_ONE)(x))[:, 1]
    assert (ones == 1).all()


@pytest.mark.numeric
@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_keeps_what_it_should_not_touch(stride):
    conv = nn.Conv2d(2, 2, 3, stride, padding=1, groups=2).double()
    layout = Layout((1, DEAD, 0), (2.0, 4.0, 8.0))
    x = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        kept = depthwise(conv, layout, keep_others=True)(x)
        assert_same(kept[:, [2, 0]], conv((x * scales(layout))[:, [2, 0]]))
        assert_same(kept[:, 1], 4 * x[:, 1, ::stride, ::stride])
        assert (depthwise(conv, layout)(x)[:, 1] == 0).all()


def test_joined_layouts_count_on():
    layout = joined([Layout((1, 0), (2.0, 4.0)), Layout((DEAD, 0))])
    assert layout.numbers == (1, 0, DEAD, 2)
    assert layout.scales == (2, 4, 1, 1)
    assert joined([Layout((1, DEAD)), Layout((0,))], [2, 1]).numbers == (1, DEAD, 2)


def test_a_layout_has_a_scale_for_every_position():
    with pytest.raises(ValueError, match="2 scales do not fit 3 positions"):
        Layout((0, 1, 2), (1.0, 2.0))


@pytest.mark.numeric
def test_layouts_serve_convolutions_without_a_bias():
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    layout = mixed(4, 8, 2.0)
    mixing, spatial = nn.Conv2d(4, 4, 1, bias=False).double(), nn.Conv2d(4, 4, 3, groups=4, bias=False).double()
    with torch.no_grad():
        assert_same(take(pointwise(mixing, layout, layout)(place(x, layout)), layout), mixing(x))
        assert_same(take(depthwise(spatial, layout)(place(x, layout)), layout.scaled(1.0)), spatial(x))


# Identities of delaying, pooling once and summing small


@pytest.mark.numeric
def test_a_weight_a_channel_passes_through_pooling_and_products():
    t, c = torch.randn(2, 6, 8, 8, dtype=torch.float64), torch.rand(2, 6, 1, 1, dtype=torch.float64)
    a = torch.rand(2, 6, 2, 2, dtype=torch.float64)
    assert_same(delayed_product(F.avg_pool2d(t, 4), c), F.avg_pool2d(t * c, 4))
    assert_same(t * upsample_nearest(delayed_product(a, c), 4), (t * c) * upsample_nearest(a, 4))
    assert delayed_product(t, None) is t


@pytest.mark.numeric
@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_the_average_of_equal_windows_is_the_average(ratio):
    t = torch.randn(2, 6, 8, 12, dtype=torch.float64)
    assert_same(average_of_averages(F.avg_pool2d(t, ratio)), t.mean((2, 3), keepdim=True))


@pytest.mark.numeric
@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_sums_are_large_sums(count):
    terms = [torch.randn(2, 3, 16 >> k, 8 >> k, dtype=torch.float64) for k in range(count)]
    expected = sum(upsample_nearest(term, 2 ** (k + 1)) for k, term in enumerate(terms))
    assert_same(sum_large(terms), expected)
    for combine in (with_upsampled, with_upsampled_by_rows, with_upsampled_by_blocks):
        assert_same(upsample_nearest(sum_small(terms, combine), 2), expected)


@pytest.mark.parametrize("operation", [operator.mul, operator.add])
@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
def test_an_upsampled_map_is_met_row_by_row(operation, ratio):
    x, small = torch.randn(3, 5, 3 * ratio, 2 * ratio), torch.randn(3, 5, 3, 2)
    for combine in (with_upsampled, with_upsampled_by_rows):
        assert torch.equal(combine(operation, x, small, ratio), operation(x, upsample_nearest(small, ratio)))


@pytest.mark.parametrize("operation", [operator.mul, operator.add])
@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
def test_an_upsampled_map_is_a_product_with_ones(operation, ratio):
    x, small = torch.randn(3, 5, 3 * ratio, 2 * ratio), torch.randn(3, 5, 3, 2)
    found = with_upsampled_by_blocks(operation, x, small, ratio)
    assert torch.equal(found, operation(x, upsample_nearest(small, ratio)))


def test_a_spread_weight_multiplies_like_a_broadcast_one():
    t, c = torch.randn(2, 6, 8, 12), torch.rand(2, 6, 1, 1)
    assert spread(c, t, equal_shapes=True).shape == t.shape
    assert torch.equal(t * spread(c, t, equal_shapes=True), t * spread(c, t, equal_shapes=False))


# Parts of the network


@pytest.mark.numeric
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("branches", [2, 3, 4])
def test_two_blocks_of_channel_weighting(recipe, branches):
    recipe = RECIPES[recipe]
    channels = [40, 80, 160, 320][:branches]
    blocks = [use(ConditionalChannelWeighting(channels), seed).double() for seed in (0, 1)]
    xs = maps(channels)
    start = [mixed if recipe.follow else Layout.plain] * branches
    layouts = [make(c, recipe.block) for make, c in zip(start, channels, strict=True)]
    layouts[0] = layouts[0].scaled(2.0)
    with torch.no_grad():
        state = Branches([place(x, layout) for x, layout in zip(xs, layouts, strict=True)])
        for k, block in enumerate(blocks):
            xs = block(xs)
            fused = FusedWeighting(fold_batch_norms(block), layouts, recipe, last=k == 1)
            state, layouts = fused(state), fused.layouts
    for x, got, pending, layout in zip(xs, state.maps, state.pending, layouts, strict=True):
        assert_same(take(got if pending is None else got * pending, layout), x)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("last", [False, True])
def test_a_block_leaves_its_arguments_as_they_are(recipe, last):
    channels = [40, 80, 160]
    layouts = [Layout.plain(c, RECIPES[recipe].block) for c in channels]
    block = FusedWeighting(fold_batch_norms(ConditionalChannelWeighting(channels)), layouts, RECIPES[recipe], last=last)
    given = [place(x, layout) for x, layout in zip(maps(channels, dtype=torch.float32), layouts, strict=True)]
    lists = given, block.pool(given), [torch.ones(2, layout.positions, 1, 1) for layout in layouts]
    kept = [list(values) for values in lists]
    copies = [[value.clone() for value in values] for values in lists]
    with torch.no_grad():
        block.weighted(*lists)
        block(Branches(*lists))
    for values, same_values, same_numbers in zip(lists, kept, copies, strict=True):
        assert all(mine is its for mine, its in zip(values, same_values, strict=True))
        assert all(torch.equal(mine, its) for mine, its in zip(values, same_numbers, strict=True))


@pytest.mark.numeric
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_shuffle_unit_where_maps_are_never_negative(recipe):
    recipe = RECIPES[recipe]
    layout = (mixed if recipe.follow else Layout.plain)(30, recipe.block).scaled(2.0)
    unit = use(ShuffleUnit(30)).double()
    (x,) = maps([30])
    with torch.no_grad():
        fused = FusedShuffleUnit(fold_batch_norms(unit), layout, recipe)
        assert_same(take(fused(place(x, layout)), fused.layout), unit(x))
        beyond(difference(take(fused(place(-x, layout)), fused.layout), unit(-x)), 1e-3, "where maps are negative")


@pytest.mark.numeric
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("branches", [2, 3, 4])
def test_the_fuse_step(recipe, branches):
    recipe = RECIPES[recipe]
    channels = [40, 80, 160, 320][:branches]
    step = use(FuseStep(channels)).double()
    xs = maps(channels)
    layouts = [mixed(c, recipe.block) for c in channels]
    with torch.no_grad():
        fused = FusedFuseStep(fold_batch_norms(step), layouts, recipe)
        got = fused(Branches([place(x, layout) for x, layout in zip(xs, layouts, strict=True)]))
        expected = step(xs)
    for x, y, layout in zip(got, expected, fused.layouts, strict=True):
        assert_same(take(x, layout), y)


@pytest.mark.numeric
@pytest.mark.parametrize("recipe", ["padded", "narrow"])
def test_stem_transition_and_head(recipe):
    recipe = RECIPES[recipe]
    with torch.no_grad():
        stem = use(Stem(32)).double()
        fused = FusedStem(fold_batch_norms(stem), recipe)
        x = images(2, dtype=torch.float64)
        assert_same(take(fused(x), fused.layout), stem(x))

        transition = use(Transition((40, 80), (40, 80, 160))).double()
        xs, layouts = maps([40, 80]), [mixed(40, recipe.block, 2.0), mixed(80, recipe.block)]
        fused = FusedTransition(fold_batch_norms(transition), layouts, recipe)
        got = fused([place(x, layout) for x, layout in zip(xs, layouts, strict=True)])
        for y, expected, layout in zip(got, transition(xs), fused.layouts, strict=True):
            assert_same(take(y, layout), expected)

        head = use(IterativeHead([40, 80, 160])).double()
        xs, layouts = maps([40, 80, 160]), [mixed(40, recipe.block, 2.0), *(mixed(c, recipe.block) for c in (80, 160))]
        fused = FusedHead(fold_batch_norms(head), layouts, recipe)
        got = fused([place(x, layout) for x, layout in zip(xs, layouts, strict=True)])
        assert_same(take(got, fused.layout), head(xs))


# The whole network


@pytest.fixture(scope="module", params=litehrnet.VARIANTS)
def used(request):
    torch.manual_seed(0)
    return use(litehrnet.create_model(request.param))


def test_a_fused_network_knows_its_joints_and_its_size():
    model = litehrnet.load_pretrained("litehrnet18")
    fused = fuse(model, SIZE)
    assert fused.joints == model.joints and len(fused.joints) == 17
    assert fused.trained_size == model.trained_size == (256, 192)


@pytest.mark.numeric
def test_a_fused_network_computes_the_same(used):
    with torch.no_grad():
        expected = used(images(3))
        for target in TARGETS:
            assert_same_heatmaps(fuse(used, SIZE, target=target)(images(3)), expected)


@pytest.mark.numeric
@pytest.mark.parametrize("name", ["litehrnet18", "naive_litehrnet18"])
def test_after_every_rewrite_the_network_computes_the_same(name):
    torch.manual_seed(0)
    model = use(litehrnet.create_model(name))
    with torch.no_grad():
        expected = model(images())
        for until in REWRITES:
            assert_same_heatmaps(fuse(model, SIZE, until=until)(images()), expected)


@pytest.mark.numeric
def test_the_algebra_is_exact_in_float64(used):
    double = copy.deepcopy(used).double()
    with torch.no_grad():
        assert_same(fuse(double, SIZE)(images(1, dtype=torch.float64)), double(images(1, dtype=torch.float64)))


@pytest.mark.numeric
@pytest.mark.parametrize("name", ["litehrnet18", "naive_litehrnet18"])
def test_every_legal_size_runs_in_torch(name):
    torch.manual_seed(0)
    model = use(litehrnet.create_model(name))
    fused = fuse(model, SIZE)
    with torch.no_grad():
        for size in ((32, 32), (61, 93), (128, 160)):
            assert_same_heatmaps(fused(images(2, size)), model(images(2, size)))


@pytest.mark.numeric
@pytest.mark.parametrize("block", [8, 3])
def test_other_blocks(block):
    model = use(litehrnet.create_model("litehrnet18", num_joints=21))
    with torch.no_grad():
        fused = fuse(model, SIZE, block=block)
        assert_same_heatmaps(fused(images()), model(images()))
    assert fused.num_joints == 21
    assert fused.stages[0][1].fuse.layouts[0].positions % block == 0


@pytest.mark.numeric
@pytest.mark.parametrize("name", litehrnet.VARIANTS)
def test_with_the_reference_weights(name, reference_model):
    model = reference_model(name)
    with torch.no_grad():
        assert_same_heatmaps(fuse(model, SIZE)(images()), model(images()))


@pytest.mark.numeric
def test_with_bundled_weights():
    model = litehrnet.load_pretrained("litehrnet18")
    with torch.no_grad():
        for size in ((256, 192), (128, 96)):
            assert_same_heatmaps(fuse(model, size)(images(1, size)), model(images(1, size)))


@pytest.mark.numeric
def test_with_trained_weights(shared):
    model = litehrnet.from_checkpoint(shared / "weights" / "wider_naive_litehrnet18_256x192.pth")
    with torch.no_grad():
        assert_same_heatmaps(fuse(model, (256, 192))(images(1, (256, 192))), model(images(1, (256, 192))))


def test_where_activations_explode_rounding_is_the_networks_own():
    """Logits of 1e9 make a step of the sigmoid: any rounding flips weights, in the plain network just as well."""
    torch.manual_seed(0)
    model = litehrnet.create_model("litehrnet18")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_(std=(3 / module.weight[0].numel()) ** 0.5)
        exact = copy.deepcopy(model).double()(images(dtype=torch.float64))
        plain, fused = model(images()), fuse(model, SIZE)(images())
    assert exact.abs().max() > 1e6
    assert (fused - exact).abs().max() <= 10 * (plain - exact).abs().max()


def test_the_module_says_what_it_is():
    model = litehrnet.create_model("litehrnet30")
    fused, free = fuse(model, SIZE), fuse(model, SIZE, target="openvino")
    assert (fused.fused, fused.size, fused.pooling, fused.num_joints) == (True, SIZE, "computed", 17)
    assert free.size is None and free.any_size
    tied = fuse(model, SIZE, target="ncnn")
    assert tied.size == SIZE and not tied.any_size
    assert fused.variant is model.variant
    assert not fused.training
    with pytest.raises(ValueError, match="125 to 128 and 157 to 160"):
        fused(torch.zeros(1, 3, 129, 96))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (250, 192)}, "221 to 224 and 253 to 256"),
        ({"target": "tensorrt"}, "'onnxruntime', 'openvino', 'ncnn', 'torch'"),
        ({"block": 0}, "at least 1"),
        ({"block": True}, "at least 1"),
        ({"until": "shuffle"}, "'follow'"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fuse(litehrnet.create_model("litehrnet18"), **{"size": SIZE, **options})


def test_only_a_lite_hrnet_can_be_fused():
    fused = fuse(litehrnet.create_model("litehrnet18"), SIZE)
    with pytest.raises(ValueError, match="FusedLiteHRNet"):
        fuse(fused, SIZE)


# The table


def test_the_table_of_rewrites_is_complete_and_right():
    rows = re.findall(r"^\| (\d) \| (\w+) \| .+? \| `([\w.]+)` \| `(\w+)` \|$", fusion.__doc__, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 10))
    assert [name for _, name, *_ in rows] == ["fold", *REWRITES, "by_rows", "by_blocks"]
    assert all(hasattr(Recipe(), name) for name in (*REWRITES[1:-1], "by_rows", "by_blocks"))
    for _, _, function, test in rows:
        assert callable(pkgutil.resolve_name(f"litehrnet.fusion.{function}"))
        assert callable(globals()[f"test_{test}"])


# What ONNX Runtime makes of it


def test_onnx_runtime_moves_nothing_and_the_file_stays_small(exported, tmp_path):
    model, plain = exported(size=(64, 32))
    path = export_onnx(fuse(model, (64, 32)), tmp_path / "fused.onnx", size=(64, 32), exporter="torchscript")
    before, after = reorders(plain), reorders(path)
    if before["ReorderInput"] == 0:
        pytest.skip("ONNX Runtime has no blocked layout on this processor")
    assert after["ReorderInput"] == 0
    assert after["ReorderOutput"] <= 1
    assert after["nodes"] < 0.6 * before["nodes"]
    assert path.stat().st_size <= 1.5 * plain.stat().st_size


@pytest.mark.numeric
def test_a_graph_for_openvino_takes_every_size(exported, tmp_path):
    from litehrnet.runtimes.parity import check_parity

    model, _ = exported(size=(64, 32))
    fused = fuse(model, (64, 32), target="openvino")
    path = export_onnx(fused, tmp_path / "free.onnx", size=(64, 32), dynamic="size", exporter="torchscript")
    proved(check_parity(model, path, [(96, 160), (64, 32)]))
