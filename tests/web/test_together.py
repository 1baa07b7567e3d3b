"""One run that is followed in a terminal and in a browser, both at the same time, to its end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from llamatop.recording.files import journal_of
from tests.end_to_end.conftest import LLAMATOP, Llamatop, llamatop
from tests.tmux import Window, tmux
from tests.waiting import until

from .browser import CHROMIUM, MISSING, Tab, chromium, open_tab, web

__all__ = ["llamatop"]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not here"),
]

PLAN = ("--concurrency", "1", "2", "--requests", "100000", "--max-time", "25",
        "--prompt-toks", "16", "--gen-toks", "16")  # fmt: skip
"""Two levels that last as long on any machine."""

_COST = re.compile(r" +[\d.]+ m?s +\d+ % cpu$")
"""What drawing takes, which is each watcher's own."""


def told(lines: Sequence[str]) -> list[str]:
    """A screen without what is the watcher's own."""
    return [_COST.sub("", line.rstrip()) for line in lines]


def show(both: tuple[Tab, Window], pattern: str) -> None:
    """Wait until both do at one time."""
    shown, window = both
    shown.until(lambda: shown.where(pattern) and re.search(pattern, "\n".join(window.lines)))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", [(), ("--serve", "llama.cpp")], ids=["demo", "llama.cpp"])
def test_both_see_the_run_and_end_with_the_screen_of_its_replay(
    what: Sequence[str], llamatop: Llamatop
) -> None:
    file = llamatop.folder / "run.parquet"
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        run = stack.enter_context(
            llamatop.start("--record", "--model", "demo", *what, *PLAN, "--out", file.name)
        )
        until(journal_of(file).exists)
        link, _ = stack.enter_context(web(llamatop.folder, str(file), **llamatop.env))
        shown = open_tab(browser, link)
        size = (shown.screen.columns, shown.screen.lines)
        server = stack.enter_context(tmux(llamatop.folder, llamatop.env, *size))
        replay = [*LLAMATOP, "replay", file.name]
        window = server.open("follows", replay, llamatop.folder)
        both = (shown, window)
        show(both, "● following")
        show(both, "● running  concurrency 1 ")
        show(both, "● running  concurrency 2 ")
        assert run.poll() is None
        out, err = run.communicate(timeout=300)
        assert run.returncode == 0, (out, err)
        show(both, "✓ finished ")
        show(both, r" replay +\d+:\d\d")
        afterwards = server.open("replays", replay, llamatop.folder)
        until(lambda: "replay" in afterwards.lines[0])
        afterwards.press(">")
        until(lambda: any("✓ finished" in line for line in afterwards.lines))
        shown.until(
            lambda: told(shown.screen.display) == told(window.lines) == told(afterwards.lines)
        )
        assert shown.errors == []
