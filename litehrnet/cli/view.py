"""`litehrnet view`: a model's graph in Netron."""

from __future__ import annotations

import argparse
import time

from . import parser as types

HELP = "show a file's graph in Netron"
EXAMPLES = """
    litehrnet view my.onnx
    litehrnet view my.ncnn.param --no-browser   # only print the address
"""


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    parser.add_argument("file", type=types.file, metavar="MODEL", help="an exported file")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def run(args: argparse.Namespace) -> int:
    """Show a file's graph in Netron, on this machine only, until Ctrl-C."""
    import webbrowser

    from ..course import netron
    from ..files import existing_file
    from . import signals

    file = existing_file(args.file)
    try:
        host, port = netron.serve(file)
        address = f"http://{host}:{port}"
        print(f"{args.file} is shown at {address}; press Ctrl-C to stop", flush=True)
        if not args.no_browser:
            webbrowser.open(address)
        _wait()
    except KeyboardInterrupt as stop:
        if isinstance(stop, signals.Stopped) and not stop.by_user:
            raise
        signals.forget()  # the ordinary end of this command
    finally:
        netron.stop()
    return 0


def _wait() -> None:
    """Wait until Ctrl-C."""
    while True:
        time.sleep(1)
