"""Recordings as runs that can be set side by side: their names, their set-up, what differs.

Knows sessions and how to open recordings; draws nothing and compares no figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llamatop.formatting import count, size
from llamatop.levels import LevelFigures, level_figures
from llamatop.sanitize import one_line
from llamatop.session import Session

SHORT = 40
"""Characters of a name that a legend or a column has room for."""

LEGEND = (
    "model", "weights", "layers", "dtype", "device", "engine", "threads", "prompt tokens",
    "tokens to generate", "processor", "accelerator", "cores", "seed",
)  # fmt: skip
"""What a legend may name, the most telling first."""


@dataclass(frozen=True)
class Run:
    """One recording, folded."""

    name: str
    """The file's name without its ending, clean and on one line."""
    session: Session
    path: str | None = None
    notices: tuple[str, ...] = ()

    @cached_property
    def figures(self) -> list[LevelFigures]:
        """The figures of every level, in order."""
        return [level_figures(self.session, level) for level in self.session.levels.values()]

    @cached_property
    def setup(self) -> dict[str, str]:
        """What was run and where, by name, as a person reads it."""
        return {**_asked(self.session), **_loaded(self.session), **_machine(self.session)}

    @property
    def model(self) -> str:
        """The model's name on one line."""
        started = self.session.started
        return one_line(started.config.model) if started else "unknown model"


def run_of(session: Session, name: str = "run") -> Run:
    """A run that has no file."""
    return Run(one_line(name), session)


def open_run(path: str) -> Run:
    """Read one recording. Raises InputError where it cannot be read."""
    from llamatop.recording.reader import fold_recording  # noqa: PLC0415  (polars: only here)

    folded = fold_recording(path)
    return Run(one_line(Path(path).stem), folded.session, path, tuple(folded.notices))


def differences(runs: Sequence[Run]) -> list[tuple[str, list[str | None]]]:
    """The set-up's facts that are not the same in all runs, each with every run's value."""
    names = list(dict.fromkeys(name for run in runs for name in run.setup))
    rows = [(name, [run.setup.get(name) for run in runs]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def labels(runs: Sequence[Run]) -> list[str]:
    """A short name for each run by what differs; no two alike."""
    differing = dict(differences(runs))
    texts = [""] * len(runs)
    for name in LEGEND:
        if name in differing and len(set(texts)) < len(runs):
            texts = _joined(texts, [_told(name, value) for value in differing[name]])
    if len(set(texts)) < len(runs):
        texts = _joined([short(text) for text in texts], [run.name for run in runs])
    return _numbered([short(text, SHORT) for text in texts])


def short(text: str, room: int = SHORT) -> str:
    """At most `room` characters, the middle left out."""
    if len(text) <= room:
        return text
    tail = (room - 1) // 2
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"


def _joined(texts: list[str], more: list[str]) -> list[str]:
    return [", ".join(filter(None, pair)) for pair in zip(texts, more, strict=True)]


def _told(name: str, value: str | None) -> str:
    """A fact as a legend tells it: a number needs its name."""
    text = value or "unknown"
    return f"{name} {text}" if name in _NUMBERS else text


_NUMBERS = {"layers", "threads", "prompt tokens", "tokens to generate", "cores", "seed"}


def _numbered(texts: list[str]) -> list[str]:
    """The same texts with a number where two are alike."""
    seen: dict[str, int] = {}
    result = []
    for text in texts:
        seen[text] = seen.get(text, 0) + 1
        result.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return result


def _asked(session: Session) -> dict[str, str]:
    if session.started is None:
        return {}
    config = session.started.config
    return {
        "model": one_line(config.model),
        "prompt tokens": one_line(config.prompt_spelling),
        "tokens to generate": config.gen_spelling,
        "text decoded": "yes" if config.text else "no",
        "seed": str(config.seed),
        "llamatop": session.started.version,
    }


def _loaded(session: Session) -> dict[str, str]:
    model = session.model
    if model is None:
        return {}
    facts = {
        "weights": model.weights,
        "parameters": count(model.parameters),
        "weights size": size(model.weights_bytes),
        "layers": _layers(model.layers, model.whole_layers),
        "engine": model.engine,
        "device": model.device,
        "accelerator": "" if model.device == "cpu" else model.device_name,
        "dtype": model.dtype,
        "threads": "" if model.threads is None else str(model.threads),
        **{f"{name} version": version for name, version in model.versions.items()},
    }
    return {name: one_line(value) for name, value in facts.items() if value}


def _layers(kept: int | None, whole: int | None) -> str:
    if kept is None:
        return ""
    return str(kept) if whole in (None, kept) else f"{kept} of {whole}"


def _machine(session: Session) -> dict[str, str]:
    if session.started is None:
        return {}
    host = session.started.host
    return {
        "system": one_line(host.system),
        "processor": one_line(host.cpu),
        "cores": str(host.cores),
        "memory": size(host.memory_bytes),
        "python": one_line(host.python),
    }


def facts(run: Run) -> list[str]:
    """The facts of a run for a caption, the most telling first."""
    setup = run.setup
    where = setup.get("accelerator") or setup.get("processor")
    return [
        text
        for text in (
            run.model,
            _with("{} weights", setup.get("weights")),
            _with("{} parameters", setup.get("parameters")),
            _with("{} layers", setup.get("layers")),
            setup.get("dtype"),
            _with("engine {}", setup.get("engine")),
            setup.get("device"),
            where,
            _with("{} cores", setup.get("cores")),
            _with("{} tokens in", setup.get("prompt tokens")),
            _with("{} out", setup.get("tokens to generate")),
            _with("llamatop {}", setup.get("llamatop")),
            run.session.started.started_at[:10] if run.session.started else None,
        )
        if text
    ]


def _with(form: str, value: str | None) -> str | None:
    return None if not value or value == "N/A" else form.format(value)
