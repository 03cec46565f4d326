"""Every file that a command reads or writes, spoilt in every way: one sentence that names it, and nothing changed.

Commands and options are read from the parser: a new command needs a call in `CALLS`, a new option needs nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from labelled import labelled_folder

from litehrnet import cli
from litehrnet.checkpoints import JOINT_SETS, from_checkpoint, save_weights
from litehrnet.cli import parser
from litehrnet.export import export_onnx
from litehrnet.files import data_path
from litehrnet.model import set_pooling

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120  # seconds; a loaded machine imports torch for twenty

# One call of each command that works, with files in the folder that `folder` makes.
CALLS = {
    "export": ("mine.safetensors", "--size", "64x32", "-o", "new.onnx"),
    "check": ("ours.onnx", "--checkpoint", "mine.safetensors"),
    "compare": (
        "ours.onnx", "--annotations", "people.json", "--images", ".", "--sessions", "1", "--rounds", "1",
        "-o", "new.json",
    ),
    "predict": ("photo.jpg", "--model", "ours.onnx", "--boxes", "boxes.json", "-o", "new.png"),
    "evaluate": ("ours.onnx", "people.json", "--images", ".", "-o", "new.json"),
    "bench": ("ours.onnx", "mine.safetensors", "--size", "64x32", "-o", "new.json"),
    "view": ("ours.onnx", "--no-browser"),
}  # fmt: skip
FOREIGN = ("notes", "notes.json", "notes.lhr", "notes.onnx", "notes.png", "notes.xml", "noise.json")


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory, reference_model: Callable) -> dict[str, bytes]:
    """What the calls read, by name."""
    folder = tmp_path_factory.mktemp("originals")
    labelled_folder(folder, joint_set=JOINT_SETS["coco"])
    save_weights(reference_model(), folder / "mine.safetensors")
    rounded = set_pooling(from_checkpoint(folder / "mine.safetensors"), "computed")  # the file holds float16
    export_onnx(rounded, folder / "ours.onnx", size=(64, 32), exporter="torchscript")
    (folder / "photo.jpg").write_bytes(data_path("astronaut.jpg").read_bytes())
    (folder / "boxes.json").write_text(json.dumps({"photo.jpg": [[100, 50, 200, 300]]}))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(originals: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the calls read and files of nobody."""
    for name, content in originals.items():
        (tmp_path / name).write_bytes(content)
    for name in FOREIGN:
        (tmp_path / name).write_bytes(b"not yours\n" if name.startswith("notes") else bytes(range(256)))
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """`refused("check", ...)`: the sentence with which a call ended, after which every file is as it was."""
    monkeypatch.setattr("litehrnet.cli.view._wait", lambda: None)

    def call(command: str, *words: str) -> str:
        before = contents(folder)
        try:
            code = cli.main([command, *words])
        except SystemExit as error:
            code = error.code
        out, err = capsys.readouterr()
        assert code in (1, 2), f"exit code {code}: {out}"
        assert contents(folder) == before
        lines = err.splitlines()
        assert code == 2 or len(lines) == 1, err
        assert lines[-1].startswith(f"litehrnet {command}: ") and "[Errno" not in err, err
        return lines[-1]

    return call


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file's content, and the names of folders, hidden ones too."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def commands() -> dict[str, argparse.ArgumentParser]:
    return next(action for action in parser.build_parser()._actions if action.dest == "command").choices


def test_every_command_has_a_call() -> None:
    """All but train, which leaves a folder to go on from: tests/test_train.py stops it and goes on."""
    assert list(CALLS) == [name for name in commands() if name != "train"]


@pytest.mark.slow
@pytest.mark.parametrize("command", CALLS)
def test_every_call_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, command: str
) -> None:
    """Else it would be refused for another reason than the one below. What takes time says what it is."""
    monkeypatch.setattr("litehrnet.cli.view._wait", lambda: None)
    monkeypatch.setattr("litehrnet.cli.terminal._PATIENCE", 0.001)
    before = contents(folder)
    assert cli.main([command, *CALLS[command]]) == 0
    assert command == "view" or re.search(r" \.\.\. \d+ s$", capsys.readouterr().err, re.MULTILINE)
    assert [name for name in contents(folder) if name not in before] == [
        str(folder / word) for word in CALLS[command] if word.startswith("new")
    ]


def spoilt(name: str, originals: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """What may be under a file's name, and is not what it was."""
    whole = originals[name]
    yield from {"empty": b"", "one byte": whole[:1], "half": whole[: len(whole) // 2], "zeros": bytes(4096)}.items()
    yield "text", b"no such thing\n"
    for other, content in originals.items():
        if Path(other).suffix != Path(name).suffix:
            yield f"what is in {other}", content


INPUTS = [
    (command, word)
    for command, words in CALLS.items()
    for word in words
    if "." in word.strip(".") and not word.startswith("new")
]


@pytest.mark.parametrize(("command", "name"), INPUTS)
def test_a_spoilt_input_is_named_in_one_sentence(
    folder: Path, originals: dict[str, bytes], refused: Callable, command: str, name: str
) -> None:
    if command == "view":
        pytest.skip("Netron shows what it can of any file")
    for what, content in spoilt(name, originals):
        Path(name).write_bytes(content)
        assert name in refused(command, *CALLS[command]), what
    Path(name).unlink()
    assert re.search(rf"no such file: .*{re.escape(name)}", refused(command, *CALLS[command]))
    Path(name).symlink_to("nowhere")
    assert name in refused(command, *CALLS[command])
    Path(name).unlink()
    Path(name).mkdir()
    assert name in refused(command, *CALLS[command])


def options_with_files() -> Iterator[tuple[str, str]]:
    """Every option of every command that takes a file's name."""
    for command in CALLS:
        for action in commands()[command]._actions:
            if action.option_strings and (action.type is parser.file or action.metavar in ("FILE", "CHECKPOINT")):
                yield command, action.option_strings[-1]


@pytest.mark.parametrize(("command", "option"), list(options_with_files()))
def test_no_option_reads_or_replaces_what_it_should_not(refused: Callable, command: str, option: str) -> None:
    """Files that are nobody's, a folder, names in a missing folder, and the files that the call itself reads."""
    words = list(CALLS[command])
    if option == "--detector":  # which goes without boxes
        words = [word for word in words if word not in ("--boxes", "boxes.json")]
    for name in (*FOREIGN, "folder"):
        said = refused(command, *words, option, name)
        assert name in said or (option, name) == ("--images", "folder")  # it is a folder, though an empty one
        assert "missing" in refused(command, *words, option, f"missing/{name}")
    is_output = any(word.startswith("new") for word in CALLS[command]) and option in ("--output", "--save-poses")
    for name in (word for there, word in INPUTS if there == command and is_output):
        assert name in refused(command, *CALLS[command], option, name)
        assert name in refused(command, *CALLS[command], option, name, *has_overwrite(command))


def has_overwrite(command: str) -> list[str]:
    return ["--overwrite"] if "--overwrite" in commands()[command]._option_string_actions else []


@pytest.mark.parametrize("command", CALLS)
def test_two_outputs_of_one_name(refused: Callable, command: str) -> None:
    """However the name is written, and whether or not there is such a file yet."""
    options = [
        action.option_strings[-1]
        for action in commands()[command]._actions
        if action.type is parser.file and action.dest in ("output", "picture", "save_poses")
    ]
    for one, other in itertools.pairwise(options):
        for name in ("same.json", "folder/../same.json"):
            said = refused(command, *CALLS[command], one, "same.json", other, name)
            assert name in said and ("name the same file" in said or "must end in" in said)


@pytest.mark.parametrize("command", CALLS)
def test_options_without_a_value_and_switches_with_one(refused: Callable, command: str) -> None:
    for action in commands()[command]._actions:
        for option in action.option_strings:
            if action.dest == "help":
                continue
            if action.nargs == 0:
                last = refused(command, *CALLS[command], f"{option}=yes") if option.startswith("--") else option
                assert option in last and ("'yes'" in last or last == option)
            else:
                assert f"argument {'/'.join(action.option_strings)}: expected" in refused(
                    command, *CALLS[command], option
                )


@pytest.mark.parametrize("command", CALLS)
def test_words_that_no_command_knows(refused: Callable, command: str) -> None:
    assert "--no-such-option" in refused(command, *CALLS[command], "--no-such-option", "3")


NAMES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
# A signal after so many seconds of computing, from a thread, so that a loaded machine is no nearer to the end by then;
# or after ten times as many by the clock, since `view` soon waits for a browser and computes no more.
AFTER = """
import os, signal, sys, threading, time
end = time.monotonic() + 10 * {seconds}
def watch():
    while time.process_time() < {seconds} and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(os.getpid(), signal.{name})
threading.Thread(target=watch, daemon=True).start()
from litehrnet.cli import main
sys.exit(main())
"""
QUICK = (("evaluate", "SIGTERM", 1.5), ("bench", "SIGINT", 2.5))


@pytest.mark.parametrize(
    ("command", "name", "seconds"),
    [
        pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow, id=" ".join(map(str, case)))
        for case in ((command, name, seconds) for command in CALLS for name in NAMES for seconds in (0.2, 1.5, 2.5, 4))
    ],
)
def test_a_signal_at_any_time_leaves_nothing(
    folder: Path, tmp_path_factory, command: str, name: str, seconds: float
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    before = contents(folder)
    long: tuple[str, ...] = {
        "bench": ("--rounds", "1000"),
        "export": ("--exporter", "torchscript"),
    }.get(command, ())
    done = subprocess.run(
        [sys.executable, "-c", AFTER.format(name=name, seconds=seconds), command, *CALLS[command], *long],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    if done.returncode == 0:  # it was faster; `view` ends so after Ctrl-C
        made = set(contents(folder)) - set(before)
        assert {Path(path).name for path in made} <= {word for word in CALLS[command] if word.startswith("new")}
    else:
        assert done.returncode == NAMES[name], done.stderr
        assert contents(folder) == before
        assert re.match(r"litehrnet( \w+)?: (interrupted|ended by SIG)", done.stderr.splitlines()[-1])
    kept = [path.name for path in temporary.iterdir() if not path.name.startswith((".ses", "torchinductor"))]
    assert kept == []
