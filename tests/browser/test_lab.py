"""Notebooks in a real JupyterLab: run through its menu, figures drawn, and Netron alive in its frame."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import onnx
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import FrameLocator, Page

from .browser_tools import Lab, Visit

pytestmark = pytest.mark.browser

MINUTES = 60_000  # Playwright counts in milliseconds


def open_notebook(lab: Lab, page: Page, name: str) -> None:
    """Open a notebook, wait until its kernel is there (before that, a question pops up), and clear what is stored."""
    page.goto(lab.address(name))
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=2 * MINUTES)
    kernel = page.locator("#jp-main-statusbar", has_text=re.compile(r"Python 3.*\| Idle"))
    kernel.wait_for(timeout=2 * MINUTES)
    choose(page, "Edit", "Clear Outputs of All Cells")


def choose(page: Page, menu: str, item: str) -> None:
    """Click through JupyterLab's menu, as a person does."""
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}")).first.click()


def run_all(page: Page, minutes: float) -> None:
    """Run > Run All Cells, then wait until no cell waits and every code cell has its number."""
    choose(page, "Run", "Run All Cells")
    deadline = time.monotonic() + 60 * minutes
    while time.monotonic() < deadline:
        page.wait_for_timeout(400)
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        if prompts and all(re.fullmatch(r"\[\d+\]:", prompt.strip()) for prompt in prompts):
            return
    pytest.fail(f"after {minutes} minutes these cells still wait: {prompts}")


def saved(lab: Lab, page: Page, name: str) -> nbformat.NotebookNode:
    """File > Save Notebook, and what is then on the disk."""
    path = lab.folder / name
    before = path.read_bytes()
    choose(page, "File", "Save Notebook")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        page.wait_for_timeout(200)
        if path.read_bytes() not in (before, b""):  # it is emptied before it is written
            return nbformat.read(path, as_version=4)
    pytest.fail(f"{name} was not saved")


def netron(page: Page) -> FrameLocator:
    """Netron's page inside the notebook, once it has drawn its graph."""
    frame = page.frame_locator('.jp-OutputArea iframe[src*="localhost"]').last
    frame.locator("body.default").wait_for(timeout=2 * MINUTES)
    return frame


@pytest.mark.parametrize("name", ["00_start_here.ipynb", "04_fix_the_pooling.ipynb"])
def test_notebook_runs_through_the_menu(lab: Lab, window: Visit, name: str) -> None:
    """No error, as many figures as are stored, all of them drawn, and Netron's frame alive where there is one."""
    stored = nbformat.read(lab.folder / name, as_version=4)
    page = window.page
    open_notebook(lab, page, name)
    run_all(page, minutes=5)
    frames = page.locator('.jp-OutputArea iframe[src*="localhost"]').count()
    if frames:
        assert netron(page).locator("g.graph-node").count() > 0
    fresh = saved(lab, page, name)
    outputs = [output for cell in fresh.cells for output in cell.get("outputs", ())]
    assert [output.ename for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert pictures(fresh) == pictures(stored)
    assert sum("<iframe" in output.get("data", {}).get("text/html", "") for output in outputs) == frames
    drawn = page.evaluate(
        "[...document.querySelectorAll('.jp-OutputArea img')].filter((image) => image.naturalWidth > 50).length"
    )
    assert drawn == sum(pictures(fresh))
    assert page.locator('.jp-OutputArea [data-mime-type="application/vnd.jupyter.stderr"]').count() == 0


def pictures(notebook: nbformat.NotebookNode) -> list[int]:
    """How many pictures each code cell shows."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in cells]


@pytest.fixture(scope="module")
def files(exported: Callable[..., tuple], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three files: the plain network, the fused one, and one block of the plain one."""
    from litehrnet.export import export_onnx
    from litehrnet.fusion import fuse

    model, plain = exported()
    folder = tmp_path_factory.mktemp("graphs")
    fused = export_onnx(fuse(model, (64, 32)), folder / "fused.onnx", size=(64, 32), exporter="torchscript")
    block = folder / "block.onnx"
    graph = onnx.load(plain).graph
    pool = next(index for index, node in enumerate(graph.node) if node.op_type == "AveragePool")
    nodes = graph.node[pool : pool + 30]
    made = {output for node in nodes for output in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    used = {name for node in nodes for name in node.input}
    later = {name for node in graph.node[pool + 30 :] for name in node.input}
    onnx.utils.extract_model(str(plain), str(block), sorted(used - made - weights - {""}), sorted(made & later))
    return {"plain": plain, "fused": fused, "block": block}


def test_netron_shows_every_node(lab: Lab, window: Visit, files: dict[str, Path]) -> None:
    """One cell, run again for file after file: the frame holds as many nodes as the file."""
    page = window.page
    choice = lab.folder / "choice.json"
    cell = "import json\nfrom litehrnet.course import netron\nnetron.show(json.load(open('choice.json')))"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(cell)], metadata=kernel), lab.folder / "netron.ipynb")
    choice.write_text(json.dumps(str(files["plain"])))
    open_notebook(lab, page, "netron.ipynb")
    counted, expected = {}, {}
    for kind, path in files.items():
        choice.write_text(json.dumps(str(path)))
        before = page.locator(".jp-CodeCell .jp-InputPrompt").inner_text()
        choose(page, "Run", "Run All Cells")
        page.wait_for_function(
            "before => !/\\*/.test(document.querySelector('.jp-CodeCell .jp-InputPrompt').innerText) &&"
            " document.querySelector('.jp-CodeCell .jp-InputPrompt').innerText !== before",
            arg=before,
            timeout=2 * MINUTES,
        )
        counted[kind] = count_nodes(netron(page))
        expected[kind] = len([node for node in onnx.load(path).graph.node if node.op_type != "Constant"])
    assert counted == expected


def count_nodes(frame: FrameLocator) -> int:
    """The nodes that Netron has drawn, once their number no longer changes."""
    number = -1
    nodes = frame.locator("g.graph-node")
    while (now := nodes.count()) != number or now == 0:
        number = now
        frame.locator("body").page.wait_for_timeout(500)
    return number
