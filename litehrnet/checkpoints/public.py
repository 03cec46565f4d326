"""The public checkpoints: where their authors publish them, and a download with a cache and a check of the hash.

The package does not need them; it comes with weights of its own (`litehrnet.load_pretrained("litehrnet18")`).
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..checks import first_line

__all__ = ["PUBLIC", "PublicFile", "fetch"]

_MMPOSE = "https://download.openmmlab.com/mmpose"
_PATIENCE = 60.0  # seconds to wait for the next byte


@dataclass(frozen=True)
class PublicFile:
    """A checkpoint that its authors publish.

    Attributes:
        url: its address.
        hash_prefix: the first eight hex digits of its SHA-256, which are part of the file's name.
        size: height and width that it was trained at.
        joint_set: a key of `JOINT_SETS`, or None if there is none.
    """

    url: str
    hash_prefix: str
    size: tuple[int, int]
    joint_set: str | None = None

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[1]


def _public(folder: str, name: str, hash_prefix: str, date: int, size: tuple[int, int], joint_set: str) -> PublicFile:
    url = f"{_MMPOSE}/{folder}/litehrnet/{name}-{hash_prefix}_{date}.pth"
    return PublicFile(url, hash_prefix, size, joint_set)


PUBLIC: dict[str, PublicFile] = {
    name: _public(folder, name, hash_prefix, date, size, joint_set)
    for folder, name, hash_prefix, date, size, joint_set in (
        ("top_down", "litehrnet18_coco_256x192", "6bace359", 20211230, (256, 192), "coco"),
        ("top_down", "litehrnet18_coco_384x288", "8d4dac48", 20211230, (384, 288), "coco"),
        ("top_down", "litehrnet30_coco_256x192", "4176555b", 20210626, (256, 192), "coco"),
        ("top_down", "litehrnet30_coco_384x288", "a3aef5c4", 20210626, (384, 288), "coco"),
        ("hand", "litehrnet_w18_coco_wholebody_hand_256x256", "d6945e6a", 20210908, (256, 256), "coco_wholebody_hand"),
    )
}


def fetch(public: PublicFile) -> Path:
    """The public file in torch's hub cache, downloaded if it is not there yet; its hash is checked either way.

    Raises:
        ValueError: the downloaded or cached file is not the published one.
        ConnectionError: it could not be downloaded; the message says where to get the file and where to put it.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / public.file_name
    if path.exists():
        if not path.is_file():
            raise ValueError(f"{path} is not an ordinary file, and the published file should be there; move it away")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not digest.startswith(public.hash_prefix):
            raise ValueError(
                f"{path} is not the published file: its SHA-256 begins with {digest[:8]}, not {public.hash_prefix}; "
                "delete it and try again"
            )
        return path
    by_hand = f"download {public.url} by hand and put it at {path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _patience(_PATIENCE):
            torch.hub.download_url_to_file(public.url, str(path), hash_prefix=public.hash_prefix, progress=True)
    except RuntimeError as error:  # torch raises it for a wrong hash, which a lost connection also causes
        raise ValueError(
            f"{public.file_name} arrived incomplete or changed, nothing was kept ({first_line(error)}); {by_hand}"
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise ConnectionError(f"{public.file_name} could not be downloaded ({first_line(error)}); {by_hand}") from error
    return path


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Give up on a server that stops sending: torch's download has no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
