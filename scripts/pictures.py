"""The pictures of README and docs are real runs and recordings, drawn by llamatop itself, dark
and light.

    python scripts/pictures.py                    # all of them, into docs/pictures
    python scripts/pictures.py monitor check      # these
    python scripts/pictures.py --file run.parquet --at 35 --keys enter --out picture.svg

Live ones run the bundled model here, `server` needs llamatop[servers] and `browser` a Chromium with
playwright. With `--file` one picture of any recording at a moment, after these keys.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pexpect
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, DIMMED_MONOKAI, TerminalTheme
from rich.text import Text
from textual.pilot import Pilot

from llamatop.commands.asked import config_of
from llamatop.commands.desk import Desk
from llamatop.commands.recordings import open_all
from llamatop.events.clock import SECOND, ManualClock
from llamatop.recording.reader import open_recording
from llamatop.run.controls import Idle
from llamatop.run.pump import Pump
from llamatop.run.replay import Replay
from llamatop.session.reducer import Session
from llamatop.tui.app import LlamatopApp
from llamatop.tui.drawing.picture import portable

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
RECORDINGS = ROOT / "recordings"
THEMES = {"dark": "llamatop-dark", "light": "llamatop-light"}
PAPER = TerminalTheme(
    (0xFB, 0xFA, 0xF7),
    (0x22, 0x26, 0x2E),
    [tuple(DEFAULT_TERMINAL_THEME.ansi_colors[n]) for n in range(8)],
    [tuple(DEFAULT_TERMINAL_THEME.ansi_colors[n]) for n in range(8, 16)],
)
PRINTED = {"dark": DIMMED_MONOKAI, "light": PAPER}
"""Colours of a terminal, for what commands print into it."""
EDGE, SEEN_ON_WHITE = "rgba(255,255,255,0.35)", "rgba(0,0,0,0.35)"
"""The frame of a terminal as Rich draws it, and one that a white page shows."""
SIZE = (120, 36)
PATIENCE = 120
"""Seconds in which what a picture waits for must come."""
LONG = 40 * SECOND
"""Of a run (ns), until its histories are full."""


async def until(app: LlamatopApp, pilot: Pilot[None], holds: Callable[[Session], object]) -> None:
    """Wait for a moment of the run that is shown."""
    for _ in range(PATIENCE * 10):
        if holds(app.pump.session):
            return
        await pilot.pause(0.1)
    Path("picture.svg").write_text(await shot(app, pilot, "not this"))
    raise SystemExit("what the picture waits for did not come; picture.svg is what did")


async def shot(app: LlamatopApp, pilot: Pilot[None], title: str) -> str:
    """The screen as it is, as SVG."""
    app.tick()
    await pilot.pause()
    return portable(app.export_screenshot(title=title))


async def both(app: LlamatopApp, pilot: Pilot[None], name: str, title: str) -> None:
    """The screen as it is, in a dark and in a light theme."""
    for shade, theme in THEMES.items():
        app.theme = theme
        await pilot.pause()
        _keep(name, shade, await shot(app, pilot, title))


def _keep(name: str, shade: str, svg: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}-{shade}.svg").write_text(svg)


def replayed(file: str | Path, seconds: float, theme: str | None = None) -> LlamatopApp:
    """A recording, halted at a moment."""
    replay = Replay(open_recording(file).events, clock=ManualClock())
    replay.pause(True)
    pump = Pump(replay, Session())
    pump.session = replay.seek(round(seconds * SECOND))
    return LlamatopApp(pump, replay=replay, launcher=Desk(save=False), theme=theme)


async def of_recording(name: str, file: Path, seconds: float, *keys: str) -> None:
    """A recording at a moment, after some keys."""
    app = replayed(file, seconds)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1)  # its marks are found behind the first paint
        await pilot.press(*keys)
        await both(app, pilot, name, f"llamatop replay {file.name}")


async def of_run(
    line: str, holds: Callable[[Session], object], pictures: Sequence[tuple[str, Sequence[str]]]
) -> None:
    """A run that goes on meanwhile, at the moment that is waited for, after the keys of each."""
    desk = Desk(save=False)
    stage = desk.run(config_of(shlex.split(line)[1:]))
    app = LlamatopApp(stage.pump, live=stage.live, launcher=desk)
    try:
        async with app.run_test(size=SIZE) as pilot:
            await until(app, pilot, holds)
            for name, keys in pictures:
                await pilot.press(*keys)
                await pilot.pause(1)
                await both(app, pilot, name, line)
    finally:
        if stage.live is not None:
            stage.live.close()
        desk.close()


def in_full_swing(session: Session) -> bool:
    """Whether some requests are done, and as many as can be are in the middle of their answers."""
    flying = [one for one in session.requests.values() if one.active]
    begun = [one for one in flying if one.tokens > 20]
    return completed(8)(session) and len(begun) > 4


def completed(count: int) -> Callable[[Session], bool]:
    """Whether so many requests of a run have ended, and its histories are full."""

    def holds(session: Session) -> bool:
        done = (one.state == "done" and not one.warmup for one in session.requests.values())
        return session.now > LONG and sum(done) >= count

    return holds


async def monitor() -> None:
    """The bundled model, live, and one of its requests."""
    line = "llamatop --model demo --engine continuous --concurrency 12 --gen-toks 40:240"
    pictures = (("monitor", ()), ("request", ("down", "down", "enter")))
    await of_run(line, completed(12), pictures)


async def server() -> None:
    """A llama.cpp that llamatop has started: what its clients see beside what it tells."""
    line = "llamatop --serve llama.cpp --concurrency 8"
    await of_run(line, in_full_swing, [("server", ())])


async def replay() -> None:
    """Where memory ended on an H100, in the middle of a search for the most at once."""
    await of_recording("replay", RECORDINGS / "samples/opt-1.3b-until-oom-h100.parquet", 33.6, "f")


async def compare() -> None:
    """Two engines, one model, on an H100."""
    files = ["samples/llama-3.1-8b-batch-h100.parquet", "h100/llama-3.1-8b-continuous.parquet"]
    runs = open_all([str(RECORDINGS / file) for file in files])
    app = LlamatopApp(Pump(Idle(), Session()), launcher=Desk(save=False), comparing=runs)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1)
        await both(
            app,
            pilot,
            "compare",
            " ".join(["llamatop compare", *(Path(one).name for one in files), "--tui"]),
        )


async def start() -> None:
    """The start screen."""
    os.chdir(ROOT)
    with TemporaryDirectory() as empty:  # the recordings of whoever draws are theirs
        os.environ |= {"XDG_DATA_HOME": empty, "HF_HOME": empty}
        await _start()


async def _start() -> None:
    desk = Desk(save=False)
    app = LlamatopApp(Pump(Idle(), Session()), launcher=desk)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(5)
        await both(app, pilot, "start", "llamatop")
    desk.close()


async def check() -> None:
    """What is foretold of a model on a device that is not here."""
    line = (
        "llamatop check --model meta-llama/Llama-3.1-8B-Instruct --device-name 'RTX 4090' "
        "--concurrency 1 8 16 --prompt-toks 3968 --gen-toks 128"
    )
    printed("check", line, "llamatop check --device-name 'RTX 4090' …", 88)


def printed(name: str, line: str, title: str, width: int) -> None:
    """What a command prints into a terminal."""
    program = [sys.executable, "-m", "llamatop", *shlex.split(line)[1:]]
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    text = pexpect.run(shlex.join(program), timeout=PATIENCE, env=env, dimensions=(50, width))
    for shade, theme in PRINTED.items():
        console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
        console.print(Text.from_ansi(text.decode().replace("\r", "")), end="")
        svg = console.export_svg(title=title, theme=theme)
        _keep(name, shade, portable(svg.replace(EDGE, SEEN_ON_WHITE) if shade == "light" else svg))


async def browser() -> None:
    """A recording in a tab of Chromium."""
    await asyncio.to_thread(_browser, RECORDINGS / "samples/llama-3.1-8b-batch-h100.parquet")


def _browser(file: Path) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (only for this picture)

    command = [sys.executable, "-m", "llamatop", "web", "--port", "0", str(file)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving,
        sync_playwright() as playwright,
    ):
        try:
            assert serving.stdout is not None
            link = serving.stdout.readline().strip()
            found = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            page = found.new_page(viewport={"width": 1200, "height": 720})
            page.goto(link)
            page.wait_for_selector("body.-first-byte")
            for key in (" ", *["ArrowRight"] * 17):
                page.keyboard.press(key)
                page.wait_for_timeout(200)
            page.wait_for_timeout(2000)
            FOLDER.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=FOLDER / "browser.png")
            found.close()
        finally:
            serving.terminate()


SCENES = (monitor, server, replay, compare, start, check, browser)


async def one(args: argparse.Namespace) -> None:
    """The one picture that was asked for."""
    app = replayed(args.file, args.at, args.theme)
    async with app.run_test(size=tuple(args.size)) as pilot:
        await pilot.pause(1)
        await pilot.press(*args.keys)
        args.out.write_text(await shot(app, pilot, "llamatop"))


def main() -> None:
    """Make the pictures."""
    known = {scene.__name__: scene for scene in SCENES}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="*", choices=[[], *known], default=[])
    parser.add_argument("--file", metavar="RECORDING")
    parser.add_argument("--at", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--keys", nargs="*", default=[], metavar="KEY")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("W", "H"))
    parser.add_argument("--theme", default=THEMES["dark"])
    parser.add_argument("--out", type=Path, default=Path("picture.svg"))
    args = parser.parse_args()
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    os.environ.pop("NO_COLOR", None)
    if args.file:
        asyncio.run(one(args))
        return
    for name in args.scenes or known:
        print(name)
        asyncio.run(known[name]())


if __name__ == "__main__":
    main()
