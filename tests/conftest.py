"""What many tests share: one thread, reference weights, exports made once, and a browser where there is one."""

from __future__ import annotations

import inspect
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import lesson_margins
import pytest
import torch
from bounds import LOG, SPARE
from chromium import find_browser
from nbval.plugin import IPyNbCell, IPyNbFile
from outputs import is_checked
from reference import reference_model as model_with_reference_weights

import litehrnet
from litehrnet.cli import terminal

ROOT = Path(__file__).resolve().parents[1]
LARGEST_SHOWN = 1e6  # a margin above this says nothing more
KERNEL_SECONDS = 120  # to import torch

# A shell that starts the tests in the background leaves them, and every command that they start, deaf to Ctrl-C.
for ignored, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, usual)

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # one, since tests run in several processes
terminal._PATIENCE = 3600.0  # on a loaded machine every command takes long enough to say what it is doing


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the lessons' cells as numeric; leave out what this machine, or the processor it imitates, cannot run."""
    for item in items:
        if item.path.suffix == ".ipynb" and item.path.parent.name != "solutions":
            item.add_marker("numeric")  # every lesson compares numbers
        if item.get_closest_marker("browser") and not find_browser():
            item.add_marker(pytest.mark.skip(reason="no chromium on this machine"))
    if without := os.environ.get("LITEHRNET_TEST_WITHOUT"):  # set by tools/processors.py
        dropped = [item for item in items if names_package(item, without)]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]


def names_package(item: pytest.Item, package: str) -> bool:
    """Whether a test's name or source, or the notebook that a cell belongs to, holds the name of a package."""
    source = item.path.read_text() if item.path.suffix == ".ipynb" else ""
    if isinstance(item, pytest.Function):
        source = inspect.getsource(item.function)
    return package in item.nodeid or package in source


class Margins:
    """The plugin behind `--margins`: collects the margins of bounds.py from every worker, and lists them.

    Attributes:
        smallest: test file to its smallest margin, what was measured, and the test.
    """

    def __init__(self) -> None:
        self.smallest: dict[str, tuple[float, str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """With several workers this runs in the process that collects their reports."""
        for name, value in report.user_properties:
            if name == "margin" and report.when == "call":
                file, _, test = report.nodeid.partition("::")
                found = (*value, test)
                self.smallest[file] = min(self.smallest.get(file, found), found)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a bound has less than ten times to spare."""
        short = any(margin < SPARE for margin, *_ in self.smallest.values())
        if short and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table of margins, the smallest first."""
        terminalreporter.section("smallest margin (bound over measured) of each file")
        for file, (margin, what, test) in sorted(self.smallest.items(), key=lambda entry: entry[1]):
            shown = f"{margin:9.1f}" if margin < LARGEST_SHOWN else "    large"
            note = f"  BELOW {SPARE:g}" if margin < SPARE else ""
            terminalreporter.write_line(f"{shown}  {file}  {test}: {what}{note}")


class LessonMargins:
    """The plugin behind `--margins` for notebooks, in every process that runs tests: see lesson_margins.py.

    Hooks of this file see the tests beside it only; those of a registered plugin see notebooks, too.

    Attributes:
        logs: a notebook that runs, to the file to which its kernel writes margins.
    """

    def __init__(self) -> None:
        self.logs: dict[IPyNbFile, Path] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """The smallest margin of a checked cell goes with its report; another cell's output claims nothing."""
        if not isinstance(item, IPyNbCell):
            return (yield)
        seen = len(self.margins(item.parent))
        result = yield
        if is_checked(item.cell) and (found := self.margins(item.parent)[seen:]):
            item.user_properties.append(("margin", min(found)))
        return result

    def margins(self, lesson: IPyNbFile) -> list[tuple[float, str]]:
        """The margins of the cells that ran so far; the first call has the kernel measure them."""
        if lesson not in self.logs:
            handle, log = tempfile.mkstemp(suffix=".margins")
            os.close(handle)
            self.logs[lesson] = Path(log)
            lesson.addfinalizer(self.logs[lesson].unlink)
            tests = str(Path(lesson_margins.__file__).parent)
            code = f"import sys; sys.path.insert(0, {tests!r}); import lesson_margins; "
            code += f"lesson_margins.start({log!r}); del sys.path[0], lesson_margins"
            done = lesson.kernel.execute_cell_input(code, allow_stdin=False)
            lesson.kernel.await_reply(done, timeout=KERNEL_SECONDS)
            lesson.kernel.await_idle(done, KERNEL_SECONDS)
        return [tuple(json.loads(line)) for line in self.logs[lesson].read_text().splitlines()]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--margins`."""
    words = f"list the smallest margin of the bounds in each file; fail where one is below {SPARE:g}"
    parser.addoption("--margins", action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    """One list of margins, in the process that collects; lessons are measured in each that runs tests."""
    if not config.getoption("--margins"):
        return
    config.pluginmanager.register(LessonMargins(), "lesson margins")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Margins(), "margins")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Tell the bounds which test they belong to; the smallest margin goes with its report."""
    if isinstance(item, pytest.Function):  # and not a doctest or a cell of a notebook
        LOG.test, LOG.numeric, LOG.margins = item.nodeid, item.get_closest_marker("numeric") is not None, []
    try:
        return (yield)
    finally:
        if LOG.margins:
            item.user_properties.append(("margin", min(LOG.margins)))
        LOG.test, LOG.margins = None, []


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """A folder beside the checkout with weights and photographs that may not be copied; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder with weights and photographs for checking is not here")
    return folder


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The system's chromium; skips where there is none. Use it with the marker `browser`."""
    path = find_browser()
    if path is None:
        pytest.skip("no chromium on this machine")
    return path


@pytest.fixture(scope="session")
def reference_model() -> Callable[..., litehrnet.LiteHRNet]:
    """`reference_model("litehrnet18", pooling="computed")`: a model of its own with the reference weights."""

    def make(variant: str = "litehrnet18", **options: object) -> litehrnet.LiteHRNet:
        return model_with_reference_weights(variant, **options)

    return make


@pytest.fixture(scope="session")
def exported(
    reference_model: Callable[..., litehrnet.LiteHRNet], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[litehrnet.LiteHRNet, Path]]:
    """`exported(size=(64, 32), dynamic="size")`: (model, ONNX file), made once a session; leave both as they are."""
    made: dict[tuple, tuple[litehrnet.LiteHRNet, Path]] = {}
    folder = tmp_path_factory.mktemp("exported")

    def make(
        variant: str = "litehrnet18",
        *,
        size: tuple[int, int] = (64, 32),
        pooling: str = "computed",
        dynamic: str | None = None,
        exporter: str = "torchscript",
    ) -> tuple[litehrnet.LiteHRNet, Path]:
        from litehrnet.export import export_onnx

        key = (variant, size, pooling, dynamic, exporter)
        if key not in made:
            model = reference_model(variant, pooling=pooling)
            path = folder / f"{len(made)}" / "model.onnx"
            path.parent.mkdir()
            made[key] = model, export_onnx(model, path, size=size, dynamic=dynamic, exporter=exporter)
        return made[key]

    return make


@pytest.fixture
def closed_figures() -> Iterator[None]:
    """Close every figure when the test is over."""
    yield
    from litehrnet.course import draw

    draw.style.plt.close("all")
