"""What only a process of its own shows: signals, pipes, terminals, names that are not UTF-8, and what is imported."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reference import reference_model

from litehrnet.files import data_path

PHOTO = data_path("astronaut.jpg")
ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120  # seconds; a loaded machine imports torch for twenty


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save({"state_dict": reference_model("litehrnet18").state_dict()}, path)
    return path


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """`start("export", ...)` in an empty folder, with temporary files in another one."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()

    def call(*arguments: object, before: str = "", **options: object) -> subprocess.Popen:
        code = f"import sys\n{before}\nfrom litehrnet.cli import main\nsys.exit(main())"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}
        environment.pop("PYTHONUNBUFFERED", None)
        environment |= options.pop("env", {})
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        command = [sys.executable, "-c", code, *map(os.fsencode, map(str, arguments))]
        return subprocess.Popen(command, cwd=tmp_path / "here", env=environment, **options)

    return call


def left(tmp_path: Path) -> list[str]:
    """All files that a command has left behind, but for what libraries keep for themselves."""
    found = [*(tmp_path / "here").rglob("*"), *(tmp_path / "temporary").iterdir()]
    return sorted(path.name for path in found if not path.name.startswith((".ses", "torchinductor")))


def without_progress(err: str) -> str:
    """Standard error without the lines that a slow machine adds, such as "loading litehrnet18 ... 2 s"."""
    return re.sub(r"^.* \.\.\. \d+ s\n", "", err, flags=re.MULTILINE)


# Sends the signal from within: when something is imported or called, deterministically.
ON_IMPORT = """
import importlib.abc, os, signal, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Finder())
"""
SWALLOWED = """
import litehrnet.export as module, os, signal
before = module.export
class Careless:
    def __del__(self):  # Python prints what is raised here, and goes on
        os.kill(os.getpid(), signal.{name})
def calling(*arguments, **options):
    result = before(*arguments, **options)
    Careless()
    return result
module.export = calling
"""
NAMES = {"SIGINT": (130, "interrupted"), "SIGTERM": (143, "ended by SIGTERM"), "SIGHUP": (129, "ended by SIGHUP")}


class TestSignals:
    @pytest.mark.parametrize("module", ["PIL.Image", "numpy.linalg", "torch", "onnx"])
    def test_ctrl_c_during_an_import(self, start: Callable, checkpoint: Path, tmp_path: Path, module: str) -> None:
        """Whatever a half-imported library makes of it, the way out is the same: one line, 130, nothing left."""
        before = ON_IMPORT.format(module=module, name="SIGINT")
        arguments = (
            ("predict", PHOTO, "-o", "out.png")
            if module == "PIL.Image"
            else ("export", checkpoint, "--exporter", "torchscript", "--size", "32x32")
        )
        process = start(*arguments, before=before)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out) == (130, "")
        assert re.fullmatch(rf"litehrnet( {arguments[0]})?: interrupted", err.splitlines()[-1])
        assert "Traceback" not in err
        assert left(tmp_path) == []

    @pytest.mark.parametrize("name", NAMES)
    def test_a_signal_while_a_file_is_written(
        self, start: Callable, checkpoint: Path, tmp_path: Path, name: str
    ) -> None:
        """Sent from outside, when the hidden folder beside the output is there and holds the file's beginning."""
        options = ("--exporter", "torchscript", "--size", "256x192", "-o", "mine.onnx")
        process = start("export", checkpoint, *options)
        deadline = time.monotonic() + LIMIT
        while not list((tmp_path / "here").glob(".mine-*")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(1.0)  # the trial before the work makes and removes such a folder, too
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=LIMIT)
        code, words = NAMES[name]
        assert process.returncode == code and err.splitlines()[-1] == f"litehrnet export: {words}"
        assert left(tmp_path) == []

    @pytest.mark.parametrize("name", NAMES)
    def test_a_signal_that_is_swallowed_still_ends_the_command(
        self, start: Callable, checkpoint: Path, tmp_path: Path, name: str
    ) -> None:
        before = SWALLOWED.format(name=name)
        process = start(
            "export", checkpoint, "--exporter", "torchscript", "--size", "32x32", "-o", "mine.onnx", before=before
        )
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out) == (NAMES[name][0], "")
        assert err.splitlines()[-1] == f"litehrnet export: {NAMES[name][1]}"
        assert left(tmp_path) == []

    @pytest.mark.parametrize("name", NAMES)
    def test_view_takes_its_server_and_its_copy_along(
        self, start: Callable, tmp_path: Path, exported: Callable, name: str
    ) -> None:
        pytest.importorskip("netron")
        process = start("view", exported()[1], "--no-browser")
        assert "is shown at http://localhost:" in process.stdout.readline()
        assert [path[:7] for path in left(tmp_path)] == ["netron-"]
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=LIMIT)
        assert process.returncode == (0 if name == "SIGINT" else NAMES[name][0])  # Ctrl-C is how it ends
        assert left(tmp_path) == [] and "Traceback" not in err

    def test_nohup_is_respected(self, start: Callable, tmp_path: Path) -> None:
        before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        process = start("predict", PHOTO, before=before + ON_IMPORT.format(module="PIL.Image", name="SIGHUP"))
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0 and "nose" in out


class TestPipes:
    @pytest.mark.parametrize(
        "arguments", [("--help",), ("predict", "--help"), ("predict", PHOTO), ("predict", PHOTO, "--json")]
    )
    def test_a_reader_that_has_gone(self, start: Callable, arguments: tuple) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        process = start(*arguments, stdout=writing)
        os.close(writing)
        _, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, without_progress(err)) == (141, "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
    def test_a_full_disk_behind_standard_output(self, start: Callable) -> None:
        with Path("/dev/full").open("w") as full:
            process = start("predict", PHOTO, stdout=full)
            _, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 1 and "cannot write to standard output: no space left on device" in err
        assert "Traceback" not in err and "Exception ignored" not in err


class TestNamesAndTerminals:
    @pytest.mark.parametrize(
        ("name", "encoding"),
        [("ü ñ.png", "ascii"), ("日本.png", "latin-1"), ("caf\udce9.png", "utf-8"), ("caf\udce9.png", "ascii")],
    )
    def test_every_name_in_every_encoding(self, start: Callable, tmp_path: Path, name: str, encoding: str) -> None:
        environment = {"PYTHONIOENCODING": encoding}
        process = start("predict", PHOTO, "-o", name, env=environment, text=False)
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0 and b"Traceback" not in err
        assert [os.fsencode(path.name) for path in (tmp_path / "here").iterdir()] == [os.fsencode(name)]
        last = out.splitlines()[-1]
        if encoding == "utf-8":
            assert last == os.fsencode(name)  # a script finds the file again

    def test_a_photograph_whose_name_is_not_utf8(self, start: Callable, tmp_path: Path) -> None:
        name = "caf\udce9.jpg"
        Path(os.fsdecode(os.fsencode(tmp_path / "here" / name))).write_bytes(PHOTO.read_bytes())
        process = start("predict", name, "--json")
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0 and json.loads(out)["photo"] == name

    @pytest.mark.parametrize(
        ("environment", "moves"),
        [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
    )
    def test_only_a_terminal_that_can_gets_carriage_returns(
        self, start: Callable, checkpoint: Path, environment: dict, moves: bool
    ) -> None:
        ours, theirs = pty.openpty()
        environment = {"NO_COLOR": "", **environment}
        options = ("--exporter", "torchscript", "--size", "64x32")
        process = start("export", checkpoint, *options, env=environment, stderr=theirs)
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 1000)
            except OSError:  # the other end is closed
                break
        process.communicate(timeout=LIMIT)
        os.close(ours)
        assert process.returncode == 0 and b"comparing with torch ..." in said
        assert (b"\x1b" in said or re.search(rb"\r(?!\n)", said) is not None) == moves


class TestImports:
    def test_help_needs_no_library(self, start: Callable) -> None:
        """The parser, and so the TAB key, loads nothing that takes time."""
        blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in ("numpy", "torch", "PIL", "onnx"))
        process = start("export", "--help", before=blocked)
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0 and "examples:" in out and err == ""

    def test_an_exported_file_needs_neither_torch_nor_onnx(
        self, start: Callable, exported: Callable, tmp_path: Path
    ) -> None:
        """Importing either would take longer than all the rest of `predict`."""
        blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in ("torch", "onnx", "openvino", "scipy"))
        process = start("predict", PHOTO, "--model", exported()[1], "-o", "out.png", "--json", before=blocked)
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, err
        assert len(json.loads(out)["people"][0]["joints"]) == 17 and left(tmp_path) == ["out.png"]

    def test_temporary_files_go(self, start: Callable, tmp_path: Path) -> None:
        assert start("predict", PHOTO, "--size", "32x32").wait(LIMIT) == 0
        assert left(tmp_path) == [] and tempfile.gettempdir()
