"""Put the browser demo together under build/demo/ and serve it on localhost.

The page needs three things beside itself: ONNX Runtime's WebAssembly build (npm package onnxruntime-web, at the
version that package.json names), the exported network, and its size. Nothing is loaded from elsewhere.

    python examples/browser/serve.py [--checkpoint my.pth] [--port 8000] [--package onnxruntime-web-1.30.0.tgz]
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import litehrnet
from litehrnet.export import export_onnx
from litehrnet.files import written_whole
from litehrnet.fusion import fuse

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "demo"
PAGE = ("index.html", "style.css", "app.js", "pose.js")
RUNTIME = ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm")


def fetch_runtime(folder: Path, package: Path | None = None) -> None:
    """Lay the two files of onnxruntime-web that the page needs into `folder`, unless they are there.

    Args:
        folder: where they go.
        package: the package's .tgz, if it was fetched by hand; otherwise npm fetches it.

    Raises:
        RuntimeError: there is no npm and no `package`, or npm could not fetch it.
    """
    version = json.loads((HERE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    stamp = folder / "VERSION"
    if package is None and stamp.exists() and stamp.read_text() == version:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        if package is None:
            package = _npm_pack(f"onnxruntime-web@{version}", Path(temporary))
        with tarfile.open(package) as archive:
            for name in RUNTIME:
                member = archive.extractfile(f"package/{name}")
                (folder / Path(name).name).write_bytes(member.read())
    stamp.write_text(version)


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


def assemble(
    folder: Path = BUILD,
    checkpoint: Path | None = None,
    size: tuple[int, int] = (256, 192),
    package: Path | None = None,
) -> Path:
    """Make the demo's folder: page, runtime and the fused network.

    Args:
        folder: where it goes.
        checkpoint: weights of one's own; without it the bundled ones.
        size: height and width of the network's input.
        package: see `fetch_runtime`.

    Returns:
        `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fetch_runtime(folder / "ort", package)
    for name in PAGE:
        shutil.copyfile(HERE / name, folder / name)
    model = litehrnet.from_checkpoint(checkpoint) if checkpoint else litehrnet.load_pretrained("litehrnet18")
    export_onnx(fuse(model, size), folder / "model.onnx", size=size, exporter="torchscript")
    with written_whole(folder / "model.json") as path:
        path.write_text(json.dumps({"size": size, "joints": model.num_joints}))
    return folder


def make_server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on localhost; port 0 takes a free one. The caller runs `serve_forever`."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *arguments: object) -> None:
        """Say nothing: a line for each file helps nobody."""


def main() -> int:
    """Assemble, serve, and wait for Ctrl+C."""
    parser = argparse.ArgumentParser(description="Lite-HRNet in the browser, on localhost.")
    parser.add_argument("--checkpoint", type=Path, help="weights of your own (default: the bundled ones)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--package", type=Path, help="onnxruntime-web's .tgz, where there is no npm")
    parser.add_argument("--build-only", action="store_true", help="put it together, do not serve")
    options = parser.parse_args()
    try:
        folder = assemble(checkpoint=options.checkpoint, package=options.package)
    except (RuntimeError, ValueError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"the demo lies in {folder}")
    if options.build_only:
        return 0
    with make_server(folder, options.port) as server:
        print(f"open http://localhost:{server.server_address[1]}/   (Ctrl+C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
