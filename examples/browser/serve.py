"""Put the browser demo together under build/demo/ and serve it on localhost.

The page runs the network with the C engine, compiled to WebAssembly here (by clang and lld), or with ONNX Runtime's two
builds for the browser (npm package onnxruntime-web, at the version that package.json names): WebAssembly, and WebGPU
where the browser has it. It offers a choice of what is there, and compares them. Beside those it needs the exported
network and a description of it. Nothing is loaded from other hosts, and the folder can be published as it is, anywhere.

    python examples/browser/serve.py [--checkpoint my.pth] [--port 8000] [--package onnxruntime-web-1.30.0.tgz]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

import litehrnet
from litehrnet.checks import first_line
from litehrnet.cli.models import joints_of
from litehrnet.cli.predict import LEAST_SCORE, PADDING, WHOLE_PADDING
from litehrnet.export import export_onnx
from litehrnet.export.c import export_c
from litehrnet.files import data_path, existing_file, written_together, written_whole
from litehrnet.fusion import fuse

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "demo"
PAGE = (
    "index.html", "style.css", "start.js", "app.js", "engine_c.js", "engine_onnxruntime.js", "engine_webgpu.js",
    "onnxruntime.js", "pose.js",
)  # fmt: skip
SAMPLE, SAMPLE_BOX = "sample.jpg", (20, 10, 345, 502)  # the course's photograph; x, y, width, height of its person
ENGINE = HERE.parent / "c"  # its Makefile builds the WebAssembly module
# Engines that onnxruntime-web brings: name, what the page calls it, files.
RUNTIMES = (
    ("onnxruntime", "ONNX Runtime", ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm")),
    (
        "webgpu",
        "ONNX Runtime on WebGPU",
        ("dist/ort.webgpu.bundle.min.mjs", "dist/ort-wasm-simd-threaded.asyncify.wasm"),
    ),
)
FILES = tuple(name for _, _, names in RUNTIMES for name in names)


def fetch_runtime(folder: Path, package: Path | None = None) -> None:
    """Put the files of onnxruntime-web that the page needs into `folder`, unless they are there.

    Args:
        folder: where they go.
        package: the package's .tgz, if it was fetched by hand; otherwise npm fetches it.

    Raises:
        RuntimeError: there is no npm and no `package`, or npm could not fetch it.
        FileNotFoundError, ValueError: `package` is no such file, or not this package.
    """
    version = json.loads((HERE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    stamp = folder / "VERSION"
    whole = all((folder / Path(name).name).is_file() for name in FILES)
    if package is None and whole and stamp.exists() and stamp.read_text() == version:
        return
    with tempfile.TemporaryDirectory() as temporary:
        archive = existing_file(package) if package else _npm_pack(f"onnxruntime-web@{version}", Path(temporary))
        contents = _unpacked(archive)
    folder.mkdir(parents=True, exist_ok=True)
    with written_together([*(folder / Path(name).name for name in FILES), stamp]) as paths:
        for path, content in zip(paths, (*contents, version.encode()), strict=True):
            path.write_bytes(content)


def _unpacked(package: Path) -> list[bytes]:
    """The contents of `FILES`."""
    try:
        with tarfile.open(package) as archive:
            members = [archive.extractfile(f"package/{name}") for name in FILES]
            return [member.read() for member in members if member is not None]
    except KeyError as error:
        raise ValueError(f"{package} is not onnxruntime-web's .tgz: {error.args[0]}") from error
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{package} is not a package of npm (.tgz), or it is damaged: {first_line(error)}") from error


def _npm_pack(name: str, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            f"npm fetches {name}, and there is no npm here; install Node.js, or fetch the package's .tgz by hand "
            "and give it with --package"
        )
    done = subprocess.run([npm, "pack", "--silent", name], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not fetch {name}: {done.stderr.strip() or done.stdout.strip()}")
    return folder / done.stdout.split()[-1]


def build_engine(target: Path) -> None:
    """Compile the C engine to a WebAssembly module.

    Raises:
        RuntimeError: clang, lld or make is missing or fails.
    """
    command = ["make", "--silent", "-C", ENGINE, target.resolve(), f"WASM={target.resolve()}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RuntimeError(f"make, which builds the C engine, cannot be run: {first_line(error)}") from error
    if done.returncode:
        said = (done.stderr.strip() or "make does not say why").splitlines()[0]
        raise RuntimeError(f"the C engine cannot be built ({said}); it needs clang and lld: apt install clang lld")


def assemble(
    folder: Path = BUILD,
    checkpoint: Path | None = None,
    size: tuple[int, int] = (256, 192),
    package: Path | None = None,
) -> Path:
    """Make the demo's folder: page, engines and network.

    Args:
        folder: where it goes.
        checkpoint: weights of one's own; without it the bundled ones.
        size: height and width of the network's input.
        package: see `fetch_runtime`.

    Returns:
        `folder`. Its model.json lists the engines that are there, and says under "leftOut" why another one is not.

    Raises:
        RuntimeError: there is no engine at all.
        FileNotFoundError, ValueError: of the checkpoint or the package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing, engines = [], []
    try:
        fetch_runtime(folder / "ort", package)
    except RuntimeError as error:
        missing.append(str(error))
    else:
        for name, label, files in RUNTIMES:
            size_of_files = sum((folder / "ort" / Path(file).name).stat().st_size for file in files)
            engines.append({"name": name, "label": label, "bytes": size_of_files})
    for name in PAGE:
        shutil.copyfile(HERE / name, folder / name)
    model = litehrnet.from_checkpoint(checkpoint) if checkpoint else litehrnet.load_pretrained("litehrnet18")
    module = folder / "litehrnet.wasm"
    try:
        build_engine(module)
    except RuntimeError as error:
        missing.append(str(error))
    else:
        engines.insert(0, {"name": "c", "label": "the C engine", "bytes": module.stat().st_size})
    if not engines:
        raise RuntimeError("; ".join(missing))
    export_c(model, folder / "model.lhr", size=size)
    export_onnx(fuse(model, size), folder / "model.onnx", size=size, exporter="torchscript")
    for engine in engines:
        weights = "model.lhr" if engine["name"] == "c" else "model.onnx"
        engine["weights"] = (folder / weights).stat().st_size
    joints = joints_of(model.joints, model.num_joints)
    about = {
        "size": size,
        "joints": {"names": joints.names, "skeleton": joints.skeleton},
        "padding": PADDING,
        "wholePadding": WHOLE_PADDING,
        "leastScore": LEAST_SCORE,
        "engines": engines,
        "leftOut": missing,
    }
    if checkpoint is None:  # other joints may not be a person's
        shutil.copyfile(data_path("astronaut.jpg"), folder / SAMPLE)
        about["sample"] = {"file": SAMPLE, "box": SAMPLE_BOX}
    with written_whole(folder / "model.json") as path:
        path.write_text(json.dumps(about))
    return folder


def make_server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on localhost; port 0 takes a free one. The caller runs `serve_forever`.

    Raises:
        OSError: the port is taken, or may not be used.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        return _Server(("127.0.0.1", port), handler)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(f"port {port} cannot be used ({reason}): choose another one, or 0 for any free one") from error


class _Server(http.server.ThreadingHTTPServer):
    """Says nothing of a page that hangs up: its Stop button does so in the middle of a file."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Report every error but that one."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of one folder and nothing else: no lists of folders, no links that lead out of it."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def send_head(self) -> BinaryIO | None:
        """Answer with a file of the folder, or with 404."""
        home = Path(self.directory).resolve()
        try:
            path = Path(self.translate_path(self.path)).resolve()
            path = path / "index.html" if path == home else path
            found = path.is_relative_to(home) and path.is_file()
        except (OSError, RuntimeError, ValueError):  # a zero character, a name that is too long, a loop of links
            found = False
        if not found:
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def log_message(self, *arguments: object) -> None:
        """Say nothing: a line for each file helps nobody."""


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 to 65535")
    return int(text)


def main() -> int:
    """Assemble, serve, and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(description="Lite-HRNet in the browser, on localhost.")
    parser.add_argument("--checkpoint", type=Path, help="weights of your own (default: the bundled ones)")
    parser.add_argument("--port", type=_port, default=0, help="default: a free one")
    parser.add_argument("--package", type=Path, help="onnxruntime-web's .tgz, where there is no npm")
    parser.add_argument("--build-only", action="store_true", help="put it together, do not serve")
    options = parser.parse_args()
    try:
        with contextlib.ExitStack() as stack:
            # Before the slow part, in which nobody waits for a port that is taken.
            server = None if options.build_only else stack.enter_context(make_server(BUILD, options.port))
            folder = assemble(BUILD, checkpoint=options.checkpoint, package=options.package)
            for reason in json.loads((folder / "model.json").read_text())["leftOut"]:
                print(f"demo: one engine is left out: {reason}", file=sys.stderr)
            print(f"the demo is in {folder}")
            if server is not None:
                print(f"open http://localhost:{server.server_address[1]}/   (Ctrl-C ends it)", flush=True)
                server.serve_forever()
    except (RuntimeError, ValueError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
