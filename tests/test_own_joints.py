"""Notebook 10's own parts: crops to learn from, a head on frozen features, a guess without looking, the stored run."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from bounds import same

from litehrnet.course.own_joints import crops_of, guess_without_looking, in_crops, subset_file, train_head
from litehrnet.course.stored import stored_run
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person, to_image
from litehrnet.model import HeatmapHead
from litehrnet.people import read_people

LABELS, PICTURES = data_path("own_joints/train.json"), data_path("heldout")
LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "10_teach_it_your_own_joints.ipynb"


@pytest.fixture(scope="module")
def people():
    return read_people(LABELS, PICTURES)


def test_crops_vary_with_the_seed_and_unlabelled_joints_do_not_count(people):
    few = people.taken([6, 14])  # person 6 has one label
    images, targets, weights = crops_of(few, (64, 32), times=2, seed=3)
    assert (images.shape, targets.shape, weights.shape) == ((4, 3, 64, 32), (4, 3, 16, 8), (4, 3))
    assert weights[[0, 2], 1:].sum() == 0
    assert weights[[1, 3]].sum() > 0
    again, *_ = crops_of(few, (64, 32), times=2, seed=3)
    other, *_ = crops_of(few, (64, 32), times=2, seed=4)
    assert torch.equal(images, again)
    assert not torch.equal(images, other)
    assert not torch.equal(images[0], images[2])


@pytest.mark.numeric
def test_the_head_comes_near_to_the_least_squares():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 4, 5, 3, generator=generator)
    targets = torch.randn(6, 2, 5, 3, generator=generator)
    weights = torch.ones(6, 2)
    weights[1, 0] = 0
    targets[1, 0] = 1e3  # would spoil everything if it counted
    head = HeatmapHead(4, 2)
    losses = train_head(head, features, targets, weights, "mse", steps=400, lr=3e-2)
    assert len(losses) == 400
    columns = torch.cat([features, torch.ones(6, 1, 5, 3)], dim=1).double()
    for k in range(2):
        chosen = weights[:, k] > 0
        a, b = columns[chosen].movedim(1, -1).reshape(-1, 5), targets[chosen, k].reshape(-1, 1).double()
        best = torch.linalg.lstsq(a, b).solution[:, 0]
        got = torch.cat([head.final_layer.weight[k].flatten(), head.final_layer.bias[k : k + 1]]).detach()
        same(got, best, 1e-2)


def test_a_guess_is_right_where_everybody_is_the_same_and_says_so(people):
    one = people.taken([14])
    assert guess_without_looking(one, one, (256, 192)) == 1.0
    assert guess_without_looking(one, people.taken([3]), (256, 192)) < 1.0
    everybody = guess_without_looking(people, people, (256, 192))
    assert 0 < everybody < 0.5


@pytest.mark.numeric
def test_joints_in_crops_are_where_the_network_finds_them(people):
    """The labels move into the crop and back; joints that were found take the same way."""
    few = people.taken([6, 14, 3])
    placed = in_crops(few, (128, 96))
    assert placed.shape == (3, 3, 3)
    for index in range(3):
        person = few.person(index)
        _, to_crop = crop_person(np.asarray(few.image(index)[0]), person.box, (128, 96))
        same(to_image(placed[index, :, :2], to_crop), person.joints[:, :2], 1e-4)
        assert placed[index, :, 2].tolist() == person.joints[:, 2].tolist()
    labels = np.stack([few.person(index).joints[:, :2] for index in range(3)])
    moved = in_crops(few, (128, 96), labels + np.array([0, 10]))
    assert np.array_equal(moved[..., 2], placed[..., 2])
    assert (moved[..., 1] > placed[..., 1]).all()
    same(moved[..., 0], placed[..., 0], 1e-4)


def test_a_subset_names_its_people_and_their_pictures_alone(people, tmp_path):
    file = subset_file(LABELS, [20, 3], tmp_path / "few.json")
    few = read_people(file, PICTURES)
    assert [few.person(i).picture for i in range(len(few))] == [people.person(i).picture for i in (20, 3)]
    assert len(json.loads(file.read_text())["images"]) == 2
    assert few.joint_set == people.joint_set


def test_the_stored_run_chose_by_the_folds_and_the_lesson_uses_what_it_chose():
    run = stored_run("own_joints")
    means = {name: np.mean([fold["oks"] for fold in run["folds"][name]]) for name in run["recipes"]}
    assert {len(folds) for folds in run["folds"].values()} == {3}
    assert run["chosen"] == max(means, key=means.get)
    runs = [(one["what"], one["pictures"], one["seed"]) for one in run["counts"]]
    assert len({seed for _, _, seed in runs}) >= 3  # or no spread would be seen
    assert (
        len(runs) == len(set(runs)) == len({r[0] for r in runs}) * len({r[1] for r in runs}) * len({r[2] for r in runs})
    )
    recipe = run["recipes"][run["chosen"]]
    calls = [
        node
        for cell in nbformat.read(LESSON, as_version=4).cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "train"
    ]
    (words,) = ({word.arg: word.value for word in call.keywords} for call in calls)
    given = {name: ast.literal_eval(words[name]) for name in ("lr", "loss", "batch", "epochs")}
    assert (given["lr"], given["loss"], given["batch"]) == (recipe["lr"], recipe["loss"], run["batch"])
    assert abs(given["epochs"] * 19 - run["crops"]) < 19
