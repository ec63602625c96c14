"""In a real browser, all but this machine blocked: a live page draws, and a key press trains a cell."""

import os
import shutil
import subprocess
import sys

import pytest

CHROMIUM = shutil.which("chromium")
pytest.importorskip("playwright", reason="no playwright; pip install playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; apt-get install chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_context(bypass_csp=False).new_page()
        opened.faults = []
        opened.on("pageerror", lambda error: opened.faults.append(str(error)))
        opened.on("console", lambda said: opened.faults.append(said.text) if said.type == "error" else None)
        opened.route("**/*", lambda route: route.continue_() if _ours(route.request.url) else route.abort())
        yield opened
        browser.close()


def _ours(url):
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "file:", "data:", "blob:"))


def test_a_live_page_draws_and_a_key_press_trains_a_cell(page):
    command = [sys.executable, "-m", "lemmata", "explore", "benign-overfitting", "--size", "smoke", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        page.goto(server.stdout.readline().strip())
        page.get_by_text("36 of 36 cells, done").first.wait_for(timeout=120_000)
        page.get_by_role("button", name="Train this cell again").press("Enter")
        page.get_by_text("A: n = ").first.wait_for(timeout=120_000)
        assert page.faults == []
    finally:
        server.terminate()
        server.wait()
