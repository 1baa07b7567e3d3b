"""Recordings as runs that can be set side by side: their names, their set-up, what differs.

Knows sessions and how to open recordings; draws nothing and compares no figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from msgspec import structs

from llamatop.errors import InputError
from llamatop.events.kinds import RunImported
from llamatop.events.sanitize import one_line
from llamatop.figures.levels import LevelFigures, level_figures
from llamatop.figures.served import on_servers
from llamatop.reports.servers import ROUGH, server_setup
from llamatop.session.reducer import Session
from llamatop.text.formatting import count, plural, size

SHORT = 40
"""Characters of a name that a legend or a column has room for."""

LEGEND = (
    "model", "server", "server version", "host", "endpoint", "weights", "layers", "dtype",
    "quantization", "layout of weights", "offload", "tensor parallel", "device", "engine",
    "threads", "measured by",
    "prompt tokens", "tokens to generate", "arrivals", "processor", "accelerator", "cores", "seed",
)  # fmt: skip
"""What a legend may name, the most telling first."""


GUESSED = f"{ROUGH} tokens are estimated, and with them throughput, TPOT and ITL"
"""Said of a run in which no server counted some tokens."""


@dataclass(frozen=True)
class Run:
    """One recording, folded."""

    name: str
    """The file's name without its ending, clean and on one line."""
    session: Session
    path: str | None = None
    notices: tuple[str, ...] = ()
    told: list[LevelFigures] | None = None
    """The figures of a table, which another tool's own file holds; None: they are found here."""
    samples: list[dict[str, list[float]]] | None = None
    """What a table's figures were made of, level by level; see `recording.tables.Row`."""

    @cached_property
    def figures(self) -> list[LevelFigures]:
        """The figures of every level, in order."""
        if self.told is not None:
            return self.told
        return [level_figures(self.session, level) for level in self.session.levels.values()]

    @property
    def estimated(self) -> bool:
        """Whether tokens of some level are a guess."""
        return any(figures.estimated for figures in self.figures)

    @cached_property
    def setup(self) -> dict[str, str]:
        """What was run and where, by name, as a person reads it."""
        served = server_setup(self.session)
        return {**_asked(self.session), **served, **_loaded(self.session), **_machine(self.session)}

    @property
    def on_processor(self) -> bool:
        """Whether this machine's processor computed, as far as is known."""
        model = self.session.model
        if self.session.imported is not None or model is None:
            return False
        if on_servers(self.session):
            here = any(sample.server_bytes is not None for sample in self.session.host[-1:])
            return here and not self.session.devices
        return model.device == "cpu"

    @property
    def model(self) -> str:
        """The model's name on one line."""
        return one_line(self.session.model_name) or "unknown model"


def run_of(session: Session, name: str = "run") -> Run:
    """A run that has no file."""
    return Run(one_line(name), session)


def open_run(path: str) -> Run:
    """Read one recording. Raises InputError where it cannot be read, or is of a watch."""
    from llamatop.recording.reader import fold_recording  # noqa: PLC0415  (polars: only here)

    folded, name = fold_recording(path), one_line(Path(path).stem)
    started = folded.session.started
    if started is not None and started.config.engine == "attach":
        raise InputError(
            f"{name}: a watch of servers, with no requests of its own: llamatop replay shows it"
        )
    return Run(name, folded.session, path, tuple(folded.notices))


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
        if name in differing:
            texts = _told_apart(texts, _tellings(name, differing[name]))
    if len(set(texts)) < len(runs):
        texts = _joined([short(text) for text in texts], [run.name for run in runs])
    return _numbered([short(text, SHORT) for text in texts])


def with_targets(run: Run, slo: dict[str, float]) -> Run:
    """The same run, its goodput counted by these targets (seconds, by `config.SLO_NAMES`)."""
    session = copy(run.session)
    if session.started is not None:
        config = structs.replace(session.started.config, slo=slo)
        session.started = structs.replace(session.started, config=config)
    return replace(run, session=session)


def short(text: str, room: int = SHORT) -> str:
    """At most `room` characters, the middle left out."""
    if len(text) <= room:
        return text
    tail = (room - 1) // 2
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"


def _told_apart(texts: list[str], more: list[str]) -> list[str]:
    """The texts, more told of those that are alike though more sets them apart."""
    told: dict[str, set[str]] = {}
    for text, extra in zip(texts, more, strict=True):
        told.setdefault(text, set()).add(extra)
    needed = [extra if len(told[text]) > 1 else "" for text, extra in zip(texts, more, strict=True)]
    return _joined(texts, needed)


def _joined(texts: list[str], more: list[str]) -> list[str]:
    return [", ".join(filter(None, pair)) for pair in zip(texts, more, strict=True)]


def _tellings(name: str, values: Sequence[str | None]) -> list[str]:
    """A fact as a legend tells it: a number needs its name, a model its owner only in doubt."""
    texts = [value or "unknown" for value in values]
    if name in _NUMBERS:
        return [f"{name} {text}" for text in texts]
    ends = [text.rstrip("/").rpartition("/")[2] or text for text in texts]
    return ends if name == "model" and len(set(ends)) == len(set(texts)) else texts


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
    if session.imported is not None:
        return _told(session, session.imported)
    return {
        "model": one_line(session.model_name),
        "prompt tokens": one_line(config.prompt_spelling),
        "tokens to generate": config.gen_spelling,
        "arrivals": config.arrivals,
        "text decoded": "yes" if config.text else "no",
        "seed": str(config.seed),
        "measured by": "llamatop",
        "llamatop": session.started.version,
    }


def _told(session: Session, imported: RunImported) -> dict[str, str]:
    """Of another tool's run: what its requests were, since nobody asked llamatop for them."""
    requests = [one for one in session.requests.values() if not one.warmup]
    config = session.started.config if session.started else None
    facts = {
        "model": one_line(config.model) if config else "",
        "prompt tokens": _range(one.prompt_tokens for one in requests),
        "tokens to generate": _range(one.max_tokens for one in requests),
        "arrivals": config.arrivals if config and config.open_loop else "",
        "measured by": f"{imported.title} {imported.version or ''}".rstrip(),
    }
    return {name: value for name, value in facts.items() if value}


def _range(counts: Iterable[int | None]) -> str:
    """One number where all have it, else the least and the most; empty: not known."""
    known = [count for count in counts if count is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    return str(low) if low == high else f"{low} to {high}"


def _loaded(session: Session) -> dict[str, str]:
    model = session.model
    if model is None or session.imported is not None:
        return {}
    if on_servers(session):
        return {"engine": model.engine}
    facts = {
        "weights": model.weights,
        "parameters": count(model.parameters),
        "weights size": size(model.weights_bytes),
        "layers": _layers(model.layers, model.whole_layers),
        "engine": model.engine,
        "device": model.device,
        "accelerator": "" if model.device == "cpu" else model.device_name,
        "dtype": model.dtype,
        "quantization": model.quantization,
        "layout of weights": model.layout,
        "offload": model.offload,
        "tensor parallel": str(model.tp) if model.tp > 1 else "",
        "threads": "" if model.threads is None else str(model.threads),
        **{f"{name} version": version for name, version in model.versions.items()},
    }
    return {name: one_line(value) for name, value in facts.items() if value}


def _layers(kept: int | None, whole: int | None) -> str:
    if kept is None:
        return ""
    return str(kept) if whole in (None, kept) else f"{kept} of {whole}"


def _machine(session: Session) -> dict[str, str]:
    if session.started is None or session.imported is not None:
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
            GUESSED if run.estimated else None,
            _beside(run),
            _with("{} weights", setup.get("weights")),
            _with("{} parameters", setup.get("parameters")),
            _with("{} layers", setup.get("layers")),
            _with("{}", setup.get("dtype")),
            _with("{}", setup.get("quantization")),
            _with("{} offload", setup.get("offload")),
            _with("engine {}", setup.get("engine")),
            _with("measured by {}", setup["measured by"] if run.session.imported else None),
            _with("{}", _joined_words(setup.get("server"), setup.get("server version"))),
            _with("at {}", setup.get("host")),
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


def _beside(run: Run) -> str | None:
    """What took from the run's levels without being part of it: where it took most."""
    told = [one for one in run.figures if one.contention.notable]
    if not told:
        return None
    worst = max(told, key=lambda one: one.contention.others_cores or 0.0)
    others = f"; {plural(len(told) - 1, 'other level')} too" if told[1:] else ""
    return f"at concurrency {worst.concurrency} {worst.contention.words}{others}"


def _joined_words(*words: str | None) -> str:
    return " ".join(filter(None, words))


def _with(form: str, value: str | None) -> str | None:
    return None if not value or value in ("N/A", "none") else form.format(value)
