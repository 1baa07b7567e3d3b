"""Make the README's picture: a recording replayed to a moment, as llamatop itself draws it.

python scripts/screenshot.py recordings/samples/demo-sweep-cpu.parquet --at 35 \\
    --out docs/screenshot.svg
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from llamatop.events.clock import SECOND, ManualClock
from llamatop.recording.reader import open_recording
from llamatop.run.pump import Pump
from llamatop.run.replay import Replay
from llamatop.session.reducer import Session
from llamatop.tui.app import LlamatopApp
from llamatop.tui.drawing.picture import portable


async def picture(file: str, seconds: float, size: tuple[int, int]) -> str:
    """The screen at a moment of a recording, as SVG."""
    replay = Replay(open_recording(file).events, clock=ManualClock())
    replay.pause(True)
    pump = Pump(replay, Session())
    pump.session = replay.seek(round(seconds * SECOND))
    app = LlamatopApp(pump, replay=replay)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        app.tick()
        await pilot.pause()
        return portable(app.export_screenshot(title="llamatop"))


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--at", type=float, required=True, metavar="SECONDS")
    parser.add_argument("--size", type=int, nargs=2, default=(120, 36), metavar=("W", "H"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    os.environ |= {"COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
    os.environ.pop("NO_COLOR", None)
    width, height = args.size
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(asyncio.run(picture(args.file, args.at, (width, height))))


if __name__ == "__main__":
    main()
