"""The start screen: choose a model and its settings, or a recording, and press Enter.

It opens at once; what can be run here is looked for behind the first paint. Runs nothing itself:
it is dismissed with what was chosen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from llamatop.reports.fit import Fits
from llamatop.settings.config import RunConfig
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame, nothing_runs
from llamatop.tui.monitor.keys import Command, bindings, orders
from llamatop.tui.start.body import StartBody
from llamatop.tui.start.keys import COMMANDS
from llamatop.tui.start.list import StartRows
from llamatop.tui.start.looks import Found, Looks, look_around, looks, named
from llamatop.tui.start.panels import StartSettings
from llamatop.tui.start.results import READING, SMALL, readable, result_of
from llamatop.tui.start.rows import Kept
from llamatop.tui.start.state import Chosen, Start

TWICE = 2.0
"""Seconds within which a second Escape leaves."""

RESTS = 0.3
"""Seconds after which what the cursor stands on is looked into."""

_NEVER = float("-inf")
_AGAIN = "esc again leaves"

_ORDERS = orders(command for command in COMMANDS if not command.priority)
"""What keys order by themselves."""


class StartScreen(Screen[Chosen | None]):
    """Dismissed with a config to run, recordings to replay or compare, or None for leaving."""

    DEFAULT_CSS = """
    StartScreen { background: $background; overflow: hidden; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = bindings(COMMANDS)

    def __init__(
        self,
        palette: Palette,
        start_defaults: RunConfig,
        *,
        again: Start | None = None,
        over: bool = False,
        fits: Fits | None = None,
        looks: Callable[[], Looks] = looks,
    ) -> None:
        """With `again` as a person has left it, where what they chose could not be; `over`
        something to which Escape goes back."""
        super().__init__()
        self.start = again or Start(start_defaults, fits, named)
        self.start.over = over
        self.commands: Sequence[Command] = [command for command in COMMANDS if command.keys]
        """For the palette."""
        self._looks = looks
        self._palette = palette
        self._body = StartBody(palette, self.start)
        self._escaped = _NEVER
        self._looked = False

    def compose(self) -> ComposeResult:
        """One widget holds it all, under whatever the app lays over it."""
        yield self._body

    def show(self, frame: Frame) -> None:
        """Draw; of a run behind this screen nothing is shown but what the screen costs."""
        self._body.show(frame)

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self._palette = palette
        self._body.repaint(palette)

    def on_mount(self) -> None:
        """Look into the recording on which the cursor rests."""
        self.set_interval(RESTS, self._look_into)

    def on_screen_resume(self) -> None:
        """Paint, then look around, once."""
        if not self._looked:
            self._looked = True
            self.app.call_after_refresh(self._look)

    def _look_into(self) -> None:
        """Read what a recording gave, once: of that under the cursor, else of one after another."""
        results, chosen = self.start.results, self.start.selected
        if READING in results.values():
            return
        others = (kept for kept in self.start.listing.kept if kept.bytes <= SMALL)
        for kept in (*([chosen] if isinstance(chosen, Kept) else []), *others):
            if kept.path not in results and readable(kept):
                results[kept.path] = READING
                self.run_worker(self._read(kept))
                return

    async def _read(self, kept: Kept) -> None:
        self.start.results[kept.path] = await asyncio.to_thread(result_of, kept)
        self._body.show()

    def _look(self) -> None:
        self._body.show()
        look_around(self._looks, self)

    @on(Found)
    def take(self, message: Found) -> None:
        """Take what was found."""
        start = self.start
        if message.found is not None:
            match message.what:
                case "machine":
                    start.found_machine(message.found)
                case "models":
                    start.found_models(message.found)
                case "recordings":
                    start.found_recordings(message.found)
                case "servers":
                    start.found_servers(message.found)
        start.looked(message.what, message.problem)
        self._body.show()

    async def on_key(self, event: events.Key) -> None:
        """Whatever is printable is typed; a key that edits a text edits it; others are orders.

        All of them here, so that they act in the order in which they were typed.
        """
        start = self.start
        if event.key in _ORDERS:
            await self.run_action(_ORDERS[event.key])
        elif event.key == "question_mark" and not (start.listing.search.text or start.in_form):
            self.action_help()
        elif event.key == "space" and not start.listing.search.text and start.mark():
            pass
        elif event.is_printable and event.character:
            start.typed(event.character)
        elif not start.pressed(event.key):
            return
        event.stop()
        event.prevent_default()
        self._body.show()

    def on_paste(self, event: events.Paste) -> None:
        """A paste is typed too."""
        event.stop()
        self.start.typed(event.text)
        self._body.show()

    def action_move(self, steps: int) -> None:
        """Up or down, in the list or the form."""
        self.start.move(steps)
        self._body.show()

    def action_page(self, pages: int) -> None:
        """By screens of the list."""
        if not self.start.in_form:
            self.action_move(pages * max(self._body.list.rows.size.height - 1, 1))

    def action_ends(self, direction: int) -> None:
        """To an end of the list, or of the text in a field."""
        if self.start.in_form:
            self.start.pressed("home" if direction < 0 else "end")
            self._body.show()
        else:
            self.action_move(direction * max(len(self.start.listing.rows), 1))

    def action_jump(self, direction: int) -> None:
        """To another group."""
        self.start.jump(direction)
        self._body.show()

    def action_turn(self, steps: int) -> None:
        """Another value of a setting that is picked."""
        self.start.turn(steps)
        self._body.show()

    def action_tab(self, direction: int) -> None:
        """To the settings, on through them, and back to the list."""
        self.start.tab(direction, self._body.has_form)
        self._body.show()

    @on(StartRows.Picked)
    def pick(self, message: StartRows.Picked) -> None:
        """A click on a row; a second one takes it."""
        before = self.start.listing.at
        self.start.point(message.at)
        self._body.show()
        if message.twice and before == message.at:
            self.action_run()

    @on(StartSettings.Pointed)
    def point(self, message: StartSettings.Pointed) -> None:
        """A click on a field."""
        self.start.point_field(message.field)
        self._body.show()

    def action_mark(self) -> None:
        """Mark the recording under the cursor, to compare it, or unmark it."""
        self.start.mark()
        self._body.show()

    def action_run(self) -> None:
        """Take what is chosen; where a setting has a fault, go to it."""
        chosen = self.start.chosen()
        if chosen is not None:
            self.dismiss(chosen)
        self._body.show()

    def action_back(self) -> None:
        """To the list; then clear the search; then back to what is shown, or, twice, leave."""
        if self.start.back():
            self._escaped = _NEVER
        elif self.start.over or time.monotonic() - self._escaped < TWICE:
            self.dismiss(None)
        else:
            self._escaped = time.monotonic()
            self.start.told = _AGAIN
            self.set_timer(TWICE, self._forget)
        self._body.show()

    def _forget(self) -> None:
        if self.start.told == _AGAIN:
            self.start.told = ""
        self._body.show()

    async def action_leave(self) -> None:
        """Choose nothing, and leave what is shown too."""
        if self.start.over:
            await self.app.run_action("leave")
        else:
            self.dismiss(None)

    def action_help(self) -> None:
        """All keys."""
        from llamatop.tui.monitor.help import HelpScreen  # noqa: PLC0415  (not for the first paint)

        page = HelpScreen(self._palette, COMMANDS)
        self.app.push_screen(page)
        self.app.call_after_refresh(page.show, nothing_runs())
