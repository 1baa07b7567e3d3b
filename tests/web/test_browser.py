"""The screen in headless Chromium, as a person sees it there and leaves it."""

import io
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.waiting import gone, until

from .browser import ARGUMENTS, CHROMIUM, MISSING, tab, web

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

SAMPLE = Path(__file__).parents[2] / "recordings" / "samples" / "demo-sweep-cpu.parquet"

HELP = "another model, run or recording"

TURNS = 50


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_DATA_HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf")}


def colours(picture: bytes) -> int:
    """How many a picture has."""
    return len(Image.open(io.BytesIO(picture)).convert("RGB").getcolors(1 << 24) or ())


def test_a_recording_replays_by_key_and_mouse(tmp_path: Path, env: dict[str, str]) -> None:
    with web(tmp_path, str(SAMPLE), **env) as (link, server), tab(link) as shown:
        shown.shows("replay")
        (program,) = server.children()
        assert colours(shown.page.screenshot()) > 10
        shown.page.keyboard.press("?")
        shown.shows(HELP)
        shown.page.keyboard.press("Escape")
        shown.until(lambda: not shown.where(HELP))
        shown.click("Throughput", 2)
        shown.until(lambda: shown.where("Throughput") and not shown.where("Requests"))
        shown.page.keyboard.press("q")
        shown.until(lambda: shown.page.locator("#over").is_visible())
        assert gone(program)
        shown.page.locator("#again").click()
        shown.shows("replay")
        (program,) = server.children()
        shown.page.close()
        until(lambda: gone(program))
        assert {url.startswith(link) for url in shown.asked} == {True}
        assert shown.errors == []


@pytest.mark.slow
def test_a_run_starts_and_ends_with_its_tab(tmp_path: Path, env: dict[str, str]) -> None:
    with web(tmp_path, **env) as (link, server), tab(link) as shown:
        shown.click("demo ")
        shown.page.keyboard.press("Enter")
        shown.shows("decode")
        shown.page.set_viewport_size({"width": 700, "height": 460})
        running = server.children(recursive=True)
        assert len(running) > 1
        shown.page.close()
        until(lambda: all(map(gone, running)))
    assert list(tmp_path.glob("llamatop/recordings/*.parquet"))
    assert not list(tmp_path.glob("llamatop/recordings/*.journal"))


@pytest.mark.slow
def test_the_end_of_the_server_is_the_end_of_its_programs(
    tmp_path: Path, env: dict[str, str]
) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with web(tmp_path, **env) as (link, server), tab(link) as shown:
            shown.click("demo ")
            shown.page.keyboard.press("Enter")
            shown.shows("decode")
            running = server.children(recursive=True)
            server.send_signal(number)
            until(lambda running=running: all(map(gone, running)))
            shown.until(lambda: shown.page.locator("#over").is_visible())
        assert not list(tmp_path.glob("llamatop/recordings/*.journal"))


@pytest.mark.slow
def test_the_link_with_its_token_opens_the_page(tmp_path: Path, env: dict[str, str]) -> None:
    with web(tmp_path, "--host", "0.0.0.0", str(SAMPLE), **env) as (link, server):
        here = link.replace(socket.gethostname(), "127.0.0.1")
        with tab(here) as shown:
            shown.shows("replay")
            plain, _, token = here.partition("?token=")
            assert shown.page.url == plain
            assert token not in shown.page.content()
            assert token not in shown.page.evaluate("document.cookie")
            assert shown.errors == []
        until(lambda: not server.children())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_browser_that_is_killed_takes_nobody_along(tmp_path: Path, env: dict[str, str]) -> None:
    with web(tmp_path, str(SAMPLE), **env) as (link, server), tab(link) as steady:
        steady.shows("replay")
        (kept,) = server.children()
        for turn in range(TURNS):
            profile = f"--user-data-dir={tmp_path / str(turn)}"
            command = [str(CHROMIUM), "--headless", *ARGUMENTS, profile, link]
            with subprocess.Popen(
                command, start_new_session=True, stderr=subprocess.DEVNULL
            ) as browser:
                try:
                    until(lambda: len(server.children()) == 2)
                    (its,) = set(server.children()) - {kept}
                finally:
                    os.killpg(browser.pid, signal.SIGKILL)
            until(lambda: server.children() == [kept])  # that ended, and was asked how
            assert gone(its) and server.is_running() and not gone(kept)
        steady.page.keyboard.press("?")
        steady.shows(HELP)
