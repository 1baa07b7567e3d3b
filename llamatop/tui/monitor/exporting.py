"""Saves the screen as it is and the charts of what it shows, in a new folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from textual.app import App

from llamatop.errors import InputError
from llamatop.events.sanitize import one_line
from llamatop.reports.runs import Run
from llamatop.run.controls import Launcher
from llamatop.tui.drawing.picture import portable

Runs = Callable[[], Sequence[Run]]
"""Makes runs of what is shown; called in another thread."""


async def export(app: App[Any], launcher: Launcher | None, runs: Runs) -> None:
    """Save both, and tell how many files and where, or why not."""
    folder = Path("charts") / f"{datetime.now():%Y-%m-%d-%H%M%S}"
    picture = portable(app.export_screenshot(title="llamatop"))
    try:
        files = await asyncio.to_thread(_save, launcher, folder, picture, runs)
    except (OSError, InputError) as error:
        told = one_line(f"nothing was exported: {error}")
        app.notify(told, severity="warning", markup=False)
    else:
        what = "1 file" if files == 1 else f"{files} files"
        app.notify(f"{what} in {folder.absolute()}", title="exported", markup=False)


def _save(launcher: Launcher | None, folder: Path, picture: str, runs: Runs) -> int:
    """Write the picture and, where somebody draws them, the charts; how many files that are."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "screen.svg").write_text(picture)
    return 1 + (launcher.charts(runs(), folder) if launcher is not None else 0)
