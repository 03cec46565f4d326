"""What a name stands for, and files that are written whole or not at all."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from litehrnet.files import existing_file, plainly_named, read_json, written_together, written_whole


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestReadJson:
    def test_what_the_file_holds(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text('{"names": ["Näse"]}', encoding="utf-8")
        assert read_json(tmp_path / "a.json") == {"names": ["Näse"]}

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{}", b"[" * 200_000])
    def test_what_is_not_json_is_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.json is not JSON: "):
            read_json(tmp_path / "a.json")


class TestExistingFile:
    def test_an_ordinary_file_and_a_link_to_one(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("x")
        (tmp_path / "b").symlink_to("a")
        assert [existing_file(tmp_path / name).name for name in "ab"] == ["a", "b"]

    @pytest.mark.parametrize(
        ("name", "error", "words"),
        [
            ("", ValueError, "empty"),
            (".", (ValueError, IsADirectoryError), "folder"),
            ("-", ValueError, "standard input"),
            ("https://example.org/a b.onnx", ValueError, "'https://example.org/a b.onnx' is a web address"),
            ("s3:/bucket/x.pth", ValueError, "'s3://bucket/x.pth' is a web address"),
            ("a\0b", ValueError, "zero character"),
            ("nowhere/x.png", FileNotFoundError, "there is no folder nowhere"),
            ("photo_graph.jpg", FileNotFoundError, "did you mean photograph.jpg"),
            ("other.onnx", FileNotFoundError, "no such file: other.onnx$"),
            ("photograph.jpg/x", FileNotFoundError, "no such file"),
            ("folder", IsADirectoryError, "is a folder"),
            ("pipe", ValueError, "is a pipe"),
            ("/dev/null", ValueError, "is a device"),
            ("dangling", FileNotFoundError, "is a link to gone.bin, which does not exist"),
            ("loop", OSError, "cannot be opened"),
            ("n" * 300, OSError, "cannot be opened"),
        ],
    )
    @pytest.mark.parametrize("kind", [str, Path])
    def test_everything_else_is_one_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, error: type, words: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("photograph.jpg").write_text("x")
        Path("folder").mkdir()
        os.mkfifo("pipe")
        Path("dangling").symlink_to("gone.bin")
        Path("loop").symlink_to("loop")
        if kind is Path and name == "":
            name, error, words = ".", IsADirectoryError, "folder"  # all that pathlib keeps of an empty name
        with pytest.raises(error, match=words) as raised:
            existing_file(kind(name))
        assert len(str(raised.value).splitlines()) == 1

    def test_sockets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("s")
            with pytest.raises(ValueError, match="is a socket"):
                existing_file("s")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_forbidden(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_text("x")
        path.chmod(0)
        with pytest.raises(PermissionError, match="may not be read"):
            existing_file(path)


class TestPlainlyNamed:
    def test_a_name_that_is_not_utf8_gets_a_link(self, tmp_path: Path) -> None:
        files = tmp_path / "caf\udce9.ncnn.param", tmp_path / "caf\udce9.ncnn.bin"
        for number, file in enumerate(files):
            file.write_text(f"content {number}")
        with plainly_named(*files) as names:
            assert [name.read_text() for name in names] == ["content 0", "content 1"]
            assert [name.suffixes for name in names] == [[".ncnn", ".param"], [".ncnn", ".bin"]]
            assert all(str(name).encode() for name in names)
        assert not names[0].exists() and len(left(tmp_path)) == 2

    def test_other_names_stay(self, tmp_path: Path) -> None:
        files = tmp_path / "ü.onnx", tmp_path / "日本.bin"
        with plainly_named(*files) as names:
            assert names == files


class TestWritten:
    def test_all_or_none(self, tmp_path: Path) -> None:
        names = [tmp_path / name for name in ("m.xml", "m.bin", "new.txt")]
        names[0].write_text("old graph")
        names[1].write_text("old weights")
        (tmp_path / "other").mkdir()
        names.append(tmp_path / "other" / "m.xml")
        with pytest.raises(RuntimeError), written_together(names) as temporaries:
            for path in temporaries[:3]:
                path.write_text("new")
            raise RuntimeError
        assert left(tmp_path) == ["m.bin", "m.xml", "other"] and names[0].read_text() == "old graph"
        with written_together(names) as temporaries:
            assert [path.name for path in temporaries] == [path.name for path in names]
            assert temporaries[1] == temporaries[0].with_suffix(".bin")  # where a writer puts its second file
            for path in temporaries:
                path.write_text("new")
        assert [path.read_text() for path in names] == ["new"] * 4
        assert left(tmp_path) == ["m.bin", "m.xml", "new.txt", "other"] and left(tmp_path / "other") == ["m.xml"]

    @pytest.mark.parametrize("links", [True, False])
    @pytest.mark.parametrize("missing", [0, 1, 2])
    def test_a_failure_between_two_files_takes_back_the_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, links: bool
    ) -> None:
        if not links:  # as on a memory card

            def refuse(self: Path, target: Path) -> None:
                raise PermissionError(1, "Operation not permitted")

            monkeypatch.setattr(Path, "hardlink_to", refuse)
        names = [tmp_path / name for name in ("a", "b", "c")]
        names[0].write_text("old a")
        names[2].write_text("old c")
        with pytest.raises(FileNotFoundError), written_together(names) as temporaries:
            for path in temporaries:
                path.write_text("new")
            temporaries[missing].unlink()
        assert left(tmp_path) == ["a", "c"]
        assert (names[0].read_text(), names[2].read_text()) == ("old a", "old c")

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
    def test_whatever_ends_the_block_leaves_nothing(self, tmp_path: Path, error: type) -> None:
        with pytest.raises(error), written_whole(tmp_path / "x.onnx") as temporary:
            temporary.write_bytes(b"half")
            raise error
        assert left(tmp_path) == []

    def test_a_link_into_another_folder(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        (tmp_path / "link").symlink_to("there/real")  # which does not exist yet
        with written_whole(tmp_path / "link") as temporary:
            temporary.write_text("new")
        assert (tmp_path / "there" / "real").read_text() == "new" and (tmp_path / "link").is_symlink()
        (tmp_path / "astray").symlink_to("gone/real")
        with pytest.raises(FileNotFoundError, match="is a link into"), written_whole(tmp_path / "astray"):
            pass

    @pytest.mark.parametrize(
        ("name", "words"), [("no/x", "does not exist"), ("d", "folder"), ("pipe", "a pipe"), ("loop", "itself")]
    )
    def test_what_cannot_be_written(self, tmp_path: Path, name: str, words: str) -> None:
        (tmp_path / "d").mkdir()
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises((OSError, ValueError), match=words), written_whole(tmp_path / name):
            raise AssertionError("nothing is to be done")
        assert left(tmp_path) == ["d", "loop", "pipe"]
