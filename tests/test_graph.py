"""Looking at a file: counts, the folder for models, and Netron's server, which must be safe to start again."""

from __future__ import annotations

import logging
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from litehrnet.course import netron as graph
from litehrnet.export import export_pooling
from litehrnet.runtimes import summary


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two small files side by side, and a stranger's file beside them."""
    folder = tmp_path_factory.mktemp("pools")
    (folder / "private.txt").write_text("not for netron")
    return [export_pooling(12, 4, mode, folder / f"{mode}.onnx") for mode in ("computed", "exact")]


@pytest.fixture
def quiet_server() -> Iterator[None]:
    yield
    graph.stop()


def get(address: tuple[str, int], path: str) -> bytes:
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}{path}", timeout=5) as answer:
        return answer.read()


def test_summary_counts_by_kind_most_frequent_first(exported, pools: list[Path]) -> None:
    assert [summary(path) for path in pools] == [{"AveragePool": 1}, {"MatMul": 2}]
    counts = summary(exported()[1])
    assert next(iter(counts)) == "Conv" and list(counts.values()) == sorted(counts.values(), reverse=True)
    assert sum(counts.values()) == 1070


def test_summary_of_no_onnx_file() -> None:
    with pytest.raises(ValueError, match=r"test_graph\.py is not an ONNX file"):
        summary(__file__)


@pytest.mark.parametrize("call", [summary, graph.serve, graph.show])
def test_missing_file(call, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        call(tmp_path / "nowhere.onnx")


class TestModelsFolder:
    def test_environment_variable_rules(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LITEHRNET_MODELS", str(tmp_path / "a" / "b"))
        assert graph.models_folder() == tmp_path / "a" / "b" and (tmp_path / "a" / "b").is_dir()

    def test_checkout(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LITEHRNET_MODELS", raising=False)
        assert graph.models_folder() == root / "build" / "models"

    def test_elsewhere_a_temporary_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LITEHRNET_MODELS", raising=False)
        monkeypatch.setattr(graph, "__file__", str(tmp_path / "site" / "litehrnet" / "graph.py"))
        monkeypatch.setattr(graph.tempfile, "gettempdir", lambda: str(tmp_path))
        assert graph.models_folder() == tmp_path / "litehrnet-models" and graph.models_folder().is_dir()


@pytest.mark.usefixtures("quiet_server")
class TestServe:
    def test_again_and_again_shows_the_last_model(self, pools: list[Path]) -> None:
        for path in (*pools, *pools):
            address = graph.serve(path)
            assert address[0] == "localhost"
            assert path.name in get(address, "/").decode()
            assert get(address, f"/data/{path.name}") == path.read_bytes()

    def test_nothing_else_can_be_read(self, pools: list[Path]) -> None:
        address = graph.serve(pools[0])
        for name in ("private.txt", pools[1].name, "../private.txt"):
            with pytest.raises(urllib.error.HTTPError):
                get(address, f"/data/{name}")

    def test_stop_frees_port_and_folder(self, pools: list[Path]) -> None:
        address = graph.serve(pools[0])
        folder = Path(graph._SERVED[-1].name)
        assert [path.name for path in folder.iterdir()] == [pools[0].name]
        graph.stop()
        assert not folder.exists() and graph._SERVED == []
        with pytest.raises(OSError):
            get(address, "/")
        graph.stop()  # nothing left to stop is fine

    def test_frame(self, pools: list[Path]) -> None:
        frame = graph.show(pools[0], height=321)
        assert frame.src.startswith("http://localhost:") and frame.height == 321

    def test_is_quiet(self, pools: list[Path], capfd: pytest.CaptureFixture) -> None:
        handlers = list(logging.getLogger().handlers)
        graph.serve(pools[0])
        assert capfd.readouterr() == ("", "") and logging.getLogger().handlers == handlers

    def test_the_original_may_go(self, pools: list[Path], tmp_path: Path) -> None:
        path = Path(shutil.copy(pools[0], tmp_path / "mine.onnx"))
        address = graph.serve(path)
        content = path.read_bytes()
        path.unlink()
        assert get(address, "/data/mine.onnx") == content


def test_a_server_that_does_not_stop_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import netron

    monkeypatch.setattr(netron, "status", lambda *_: True)
    monkeypatch.setattr(graph.time, "monotonic", iter([0.0, 3.0, 6.0]).__next__)
    with pytest.raises(TimeoutError, match="restart the kernel"):
        graph.stop()


def test_without_netron_the_command_that_installs_it(pools: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "netron", None)
    with pytest.raises(ImportError, match=r"pip install 'netron>=9\.3'"):
        graph.show(pools[0])


@pytest.mark.browser
@pytest.mark.usefixtures("quiet_server")
def test_the_page_draws_every_node(pools: list[Path], browser_path: str) -> None:
    from playwright.sync_api import sync_playwright

    host, port = graph.serve(pools[1])
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context()
        context.add_cookies([{"name": "consent", "value": "1", "url": f"http://{host}:{port}"}])
        here = f"{host}:{port}"
        context.route("**/*", lambda route: route.continue_() if here in route.request.url else route.abort())
        page = context.new_page()
        page.goto(f"http://{here}")
        page.locator("body.default").wait_for(timeout=60_000)
        assert page.locator("g.graph-node").count() == 2
        browser.close()
