"""The program behind a tab: what it says is shown, and it ends with its tab."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from llamatop.commands.web import program
from llamatop.errors import InputError
from llamatop.web import program as programs
from llamatop.web.server import WebServer
from tests.waiting import gone

from .conftest import Serving, Tab

SCREEN = "printf '__GANGLION__\\n'; printf 'D\\0\\0\\0\\005hello'; "
"""A fake of a program with a screen, which says hello as Textual's web driver does."""


def fake(then: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", SCREEN + then)


async def until(condition: Callable[[], object]) -> None:
    """As `waiting.until`, while the server goes on."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_a_program_says_that_ends_at_once_is_shown(serving: Serving) -> None:
    async with serving([*program(None), "--model"]) as served:
        text = await (await served.open()).end()
    assert "llamatop: argument --model: expected one argument (see llamatop --help)\r\n" in text
    assert served.told == []


async def test_what_it_prints_in_place_of_a_screen_is_shown_without_its_controls(
    serving: Serving,
) -> None:
    async with serving(["/bin/sh", "-c", "printf 'no \\033[5mscreen\\n'; kill -9 $$"]) as served:
        text = await (await served.open()).end()
    assert text.endswith("no \u241b[5mscreen\r\n")
    async with serving(["/bin/sh", "-c", "kill -9 $$"]) as served:
        assert (await (await served.open()).end()).endswith("llamatop ended: signal 9\r\n")


async def test_its_pictures_come_and_then_its_words(serving: Serving) -> None:
    async with serving(fake("echo $COLUMNS by $ROWS >&2")) as served:
        text = await (await served.open()).end()
        vast = await served.client.ws_connect(
            f"http://{served.at}/ws?width=9999999&height=-1",
            headers={"Origin": f"http://{served.at}"},
        )
        assert (await Tab(vast).end()).endswith("1000 by 1\r\n")
    assert text.startswith("hello") and text.endswith("120 by 36\r\n")


async def test_a_closed_tab_ends_its_program(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PATIENCE", 0.2)
    for then in ("cat >/dev/null; echo kept at x >&2", "trap '' TERM HUP; sleep 600 & wait"):
        async with serving(fake(then)) as served:
            tab, other = await served.open(), await served.open()
            for one in (tab, other):
                await one.until(lambda seen: seen == b"hello")
            pids = {one.pid for one in served.server.programs}
            await tab.socket.close()
            await until(lambda: len(served.server.programs) == 1)
            (left,) = (one.pid for one in served.server.programs)
            (closed,) = pids - {left}
            assert not psutil.pid_exists(closed or 0)
            await other.send("ping", "1")
            assert (await other.socket.receive()).json() == ["pong", "1"]


async def test_nonsense_ends_the_tab_that_sends_it_alone(serving: Serving) -> None:
    async with serving(fake("cat >/dev/null")) as served:
        other = await served.open()
        for nonsense in (
            "",
            "{}",
            "[]",
            '["resize"]',
            '["resize", {"width": "x"}]',
            '["stdin", 1]',
        ):
            tab = await served.open()
            await tab.socket.send_str(nonsense)
            assert (await tab.end()).startswith("hello")
        await other.until(lambda seen: seen == b"hello")
        await until(lambda: len(served.server.programs) == 1)


async def test_a_run_ends_with_its_tab_and_is_kept(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "7")
    monkeypatch.chdir(tmp_path)
    run = [*program(None), "--engine", "scripted", "--out", "run.parquet"]
    async with serving(run) as served:
        tab = await served.open()
        await tab.until(lambda seen: b"decode" in seen)
        (one,) = served.server.programs
        process = psutil.Process(one.pid)
        children = process.children(recursive=True)
        assert children
        await tab.send("resize", {"width": 60, "height": 20})
        tab.seen = b""
        await tab.send("stdin", "?")
        await tab.until(lambda seen: b"another model, run" in seen)
        await tab.socket.close()
        await until(lambda: not served.server.programs)
        await until(lambda: all(map(gone, (process, *children))))
    assert [path.name for path in tmp_path.glob("run*")] == ["run.parquet"]
    assert "llamatop replay run.parquet" in served.told[0]


async def test_a_second_tab_follows_the_run_of_the_first_unless_asked_otherwise(
    serving: Serving, tmp_path: Path
) -> None:
    run = fake(f"exec 3>'{tmp_path}/run.parquet.journal'; printf 'D\\0\\0\\0\\001+'; cat >&2")
    follow = lambda file: ["/bin/sh", "-c", f"echo follows {file} >&2"]  # noqa: E731
    async with serving(run, follow=follow) as served:
        first = await served.open()
        await first.until(lambda seen: seen == b"hello+")
        assert f"follows {tmp_path}/run.parquet" in await (await served.open()).end()
        own = await served.open("/own")
        await own.until(lambda seen: seen == b"hello+")
        await first.socket.close()
        await own.socket.close()
        await until(lambda: not served.server.programs)
        again = await served.open()
        await again.until(lambda seen: seen == b"hello+")
        async with served.client.get(f"http://{served.at}/own") as page:
            assert f'"ws://{served.at}/ws/own"' in await page.text()


@pytest.mark.slow
async def test_who_follows_sees_the_run_and_starts_no_engine(
    serving: Serving, tmp_path: Path
) -> None:
    run = [*program(None), "--engine", "scripted", "--out", str(tmp_path / "run.parquet")]
    async with serving(run, follow=program) as served:
        first = await served.open()
        await first.until(lambda seen: b"decode" in seen)
        (runs,) = served.server.programs
        second = await served.open()
        await second.until(lambda seen: b"decode" in seen)
        (follows,) = served.server.programs - {runs}
        assert psutil.Process(runs.pid).children()
        assert not psutil.Process(follows.pid).children()
        await second.socket.close()
        await until(lambda: served.server.programs == {runs})


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file"):
        program("nowhere")
    journal = tmp_path / "-running.parquet.journal"
    journal.touch()
    assert program(str(journal)[: -len(".journal")])[-2:] == ["replay", str(journal)[:-8]]
    assert program(None)[0] == sys.executable


def test_a_place_that_cannot_be_had_is_told_in_one_line() -> None:
    taken = WebServer(["true"], "127.0.0.1", 0, title="", tell=print)
    for host, port in (("127.0.0.1", taken.port), ("no.such.host.invalid", 0)):
        with pytest.raises(InputError, match=f"--host {host} --port"):
            WebServer(["true"], host, port, title="", tell=print)
