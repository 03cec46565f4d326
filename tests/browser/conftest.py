"""A browser, a built site and a real JupyterLab, each started once for all tests that need it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import build_site
import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from .browser_tools import Lab, Visit, open_window

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
# JupyterLab fetches news and updates from the network, and draws only the cells in view, which hides what is counted.
LAB_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver, which drives the system's chromium and downloads none.

    For one module, because other tests cannot run an event loop of their own while it is there.
    """
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright: Playwright, browser_path: str) -> Iterator[Browser]:
    """The system's chromium, headless, with nothing that talks to anybody by itself."""
    flags = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
    ]  # fmt: skip
    browser = playwright.chromium.launch(executable_path=browser_path, args=flags)
    yield browser
    browser.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Visit]:
    """A window of a desk's size."""
    visit = open_window(browser, viewport={"width": 1280, "height": 900})
    yield visit
    visit.context.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, browser_path: str) -> Path:
    """The course's site, from the stored outputs."""
    build = tmp_path_factory.mktemp("build")
    assert build_site.main(["--build", str(build), "--no-demo"]) == 0
    return build / "site"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, browser_path: str) -> Iterator[Lab]:
    """A real JupyterLab on a free port, with its settings and files in a temporary folder."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name, settings in LAB_SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "LITEHRNET_MODELS": str(home / "models"),
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _wait_for_lab(process, home, folder)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for_lab(process: subprocess.Popen, home: Path, folder: Path) -> Lab:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"JupyterLab ended:\n{(home / 'log').read_text()[-3000:]}")
        for path in (home / "runtime").glob("jpserver-*.json"):
            try:
                server = json.loads(path.read_text())
                with urllib.request.urlopen(f"{server['url']}api?token={server['token']}", timeout=5):
                    return Lab(server["url"], server["token"], folder)
            except (OSError, ValueError):
                break  # not written, or not listening yet
        time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start in {SECONDS} s:\n{(home / 'log').read_text()[-3000:]}")
