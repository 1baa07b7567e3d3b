"""What the start screen knows, and what the person has done on it. Knows no widget and no file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from llamatop.errors import InputError
from llamatop.reports.fit import Fit, Fits, Machine, estimate
from llamatop.reports.models import Choice
from llamatop.settings.config import RunConfig
from llamatop.tui.compare.letters import MOST
from llamatop.tui.start.answering import Answering, attach_command
from llamatop.tui.start.command import compare_command, replay_command, run_command
from llamatop.tui.start.cursor import Listing
from llamatop.tui.start.edit import Edit
from llamatop.tui.start.form import NAMES, SERVER, Form
from llamatop.tui.start.results import Result
from llamatop.tui.start.rows import Item, Kept, model_name, typed

Chosen = RunConfig | Path | tuple[Path, ...]
"""A run, a recording to replay, or several to compare."""

LOOKS = ("machine", "models", "recordings", "servers")
"""What is looked for after the first paint, in this order."""


class Start:
    """List, form and machine. Every change is a method."""

    def __init__(
        self,
        defaults: RunConfig,
        fits: Fits | None = None,
        named: Callable[[str], Choice] = typed,
    ) -> None:
        self.form = Form(defaults)
        self.listing = Listing(" ".join(defaults.urls) or defaults.model, named)
        self.marked: list[Path] = []
        """Recordings to compare, the baseline first."""
        self.results: dict[Path, Result] = {}
        """By recording how its run ended and what each level gave."""
        self.in_form = False
        """Whether keys go to the form rather than to the list."""
        self.over = False
        """Whether this is chosen over something that is shown, to go back to."""
        self.machine: Machine | None = None
        self.looking = set(LOOKS)
        """What is not known yet."""
        self.told = ""
        """What the person should know now, in a line."""
        self.config = defaults
        """The newest settings without fault: what the list's marks are about."""
        self._fits = fits
        self._known_fits: dict[tuple[Choice, int], Fit] = {}

    @property
    def faulty(self) -> bool:
        """Whether a setting is wrong by itself, so that no verdict is about what stands there."""
        return bool(self.form.problems())

    @property
    def selected(self) -> Item | None:
        """What Enter takes."""
        return self.listing.selected

    def found_machine(self, machine: Machine) -> None:
        """Cores and memory are known."""
        self.machine = machine
        self._known_fits.clear()

    def found_models(self, choices: Sequence[Choice]) -> None:
        """The models are known; a default that is none of them is listed by itself."""
        defaults = self.form.defaults
        wanted = " ".join(defaults.urls) or defaults.model
        known = any(choice.model == wanted for choice in choices)
        source = SERVER if defaults.urls else "given"
        given = [] if known else [Choice(wanted, source, None, None, None)]
        self.listing.choices = [*given, *choices]

    def found_recordings(self, kept: Sequence[Kept]) -> None:
        """The recordings are known."""
        self.listing.kept = list(kept)

    def found_servers(self, servers: Sequence[Answering]) -> None:
        """The servers that answer here are known."""
        self.listing.servers = list(servers)

    def looked(self, what: str, problem: str = "") -> None:
        """One of `LOOKS` is done, well or not."""
        self.looking.discard(what)
        told = problem or self.told
        self.listing.fill()
        self._follow()
        self.told = told

    def typed(self, text: str) -> None:
        """Text for the search, or for the field."""
        if self.in_form:
            self.form.typed(text)
        else:
            self.listing.edit(self.listing.search.typed(text))
        self._follow()

    def pressed(self, key: str) -> bool:
        """An editing key; False where it is none of those."""
        if self.in_form:
            edited = self.form.pressed(key)
        else:
            search = self.listing.search.pressed(key)
            edited = search is not None
            self.listing.edit(search or self.listing.search)
        self._follow()
        return edited

    @property
    def comparing(self) -> bool:
        """Whether Enter compares what is marked."""
        return len(self.marked) > 1

    def mark(self) -> bool:
        """Mark the recording under the cursor, or take its mark away; False on a model."""
        item = self.selected
        if not isinstance(item, Kept) or self.in_form:
            return False
        told = ""
        if item.path in self.marked:
            self.marked.remove(item.path)
        elif len(self.marked) < MOST:
            self.marked.append(item.path)
        else:
            told = f"{MOST} are marked: more find no room side by side"
        self.listing.move(1)
        self._follow()
        self.told = told or ("mark another recording to compare" if len(self.marked) == 1 else "")
        return True

    def move(self, steps: int) -> None:
        """Up or down, in the list or in the form."""
        self.form.move(steps) if self.in_form else self.listing.move(steps)
        self._follow()

    def jump(self, direction: int) -> None:
        """To another group of the list."""
        if not self.in_form:
            self.listing.jump(direction)
            self._follow()

    def turn(self, steps: int) -> None:
        """Another value of the field, where it is picked."""
        if self.in_form:
            self.form.turn(steps)
            self._follow()

    def point(self, at: int) -> None:
        """At a row of the list."""
        self.in_form = False
        self.listing.put(at)
        self._follow()

    def point_field(self, field: int) -> None:
        """At a field; a second time turns what is picked."""
        if self.in_form and self.form.at == field:
            self.turn(1)
        else:
            self.in_form = True
            self.form.go(field)

    def tab(self, direction: int, has_form: bool) -> None:
        """From the list to the form, through its fields, and back to the list."""
        if not has_form:
            self.in_form = False
        elif not self.in_form:
            self.in_form = True
            self.form.go(0 if direction > 0 else len(NAMES) - 1)
        elif not self.form.move(direction):
            self.in_form = False

    def back(self) -> bool:
        """Out of the form, or out of the search; False where the person is in neither."""
        if self.in_form:
            self.in_form = False
        elif self.listing.search.text:
            self.listing.edit(Edit())
            self._follow()
        elif self.marked:
            self.marked.clear()
            self._follow()
        else:
            return False
        return True

    def _follow(self) -> None:
        """The form goes along with the cursor, the fits with the form where it has no fault."""
        self.told = ""
        if isinstance(self.selected, Choice):
            self.form.follow(self.selected.source)
        elif self.selected is not None:
            self.in_form = False
        if self.form.serving:
            return
        try:
            config = self.form.config("")
        except InputError:
            return
        config = replace(config, weights=self.form.weights_for(""))
        if config != self.config:
            self.config = config
            self._known_fits.clear()

    def problems(self) -> dict[str, str]:
        """What is wrong in the form, by field: with the weights' files at them; or with `model`."""
        choice = self.selected
        if not isinstance(choice, Choice):
            return self.form.problems()
        if choice.unreadable:
            return {"server" if choice.source == SERVER else "model": choice.unreadable}
        if problem := choice.problem(self.form.weights_for(choice.source)):
            return {"weights": f"{problem}; random needs none", **self.form.problems()}
        return self.form.problems(choice.context)

    def fit(self, choice: Choice, concurrency: int = 0) -> Fit | None:
        """Whether a model fits with these settings; None while the machine is not known.

        With another concurrency than the largest of the settings, if one is given.
        """
        key = (choice, concurrency)
        if choice.source == SERVER:
            return None
        if key not in self._known_fits and self.machine is not None:
            levels = (concurrency,) if concurrency else self.config.concurrency
            weights = self.form.weights_for(choice.source)
            config = replace(
                self.config, model=model_name(choice), weights=weights, concurrency=levels
            )
            fits = self._fits or partial(estimate, self.machine)
            self._known_fits[key] = fits(choice, config)
        return self._known_fits.get(key)

    def command(self) -> list[str]:
        """The command line of what Enter does, in parts."""
        item = self.selected
        if self.comparing and isinstance(item, Kept):
            return compare_command([str(path) for path in self.marked])
        if isinstance(item, Kept):
            return replay_command(str(item.path))
        if isinstance(item, Answering):
            return attach_command(item)
        if item is None or self.problems():
            return []
        return run_command(self.form.config(model_name(item)))

    def chosen(self) -> Chosen | None:
        """What Enter means; None, and the form at its first problem, where it means nothing."""
        item, problems = self.selected, self.problems()
        names = [field.name for field in self.form.fields]
        if isinstance(item, Kept):
            return tuple(self.marked) if self.comparing else item.path
        if isinstance(item, Answering):
            return item.config
        if item is not None and not problems:
            return self.form.config(model_name(item))
        if other := next((name for name in problems if name not in names), ""):
            self.told = f"{other}: {problems[other]}"
        elif problems:
            if not self.in_form or self.form.field.name not in problems:
                self.form.go(next(i for i, name in enumerate(names) if name in problems))
            self.in_form = True
            self.told = f"{self.form.field.name}: {problems[self.form.field.name]}"
        return None
