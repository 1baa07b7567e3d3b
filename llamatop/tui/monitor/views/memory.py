"""The memory panel: engine, machine, each accelerator and core, on the throughput's seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from llamatop.events.kinds import Event, MemoryPredicted
from llamatop.figures.served import on_servers, server_bytes, server_device_bytes
from llamatop.session.reducer import Session
from llamatop.text.formatting import size
from llamatop.tui.drawing.charts import ceiling, columns, highest
from llamatop.tui.drawing.lines import Line, Span, fitting, laid_over
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.accelerators import (
    LABEL,
    devices_of,
    label,
    rows_of,
    share_of,
    together,
)
from llamatop.tui.monitor.views.history import Window, chart, labelled, time_axis, window_of
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.parts import bar_line, legend, pieces
from llamatop.tui.monitor.views.servers import server_rows, server_title
from llamatop.tui.monitor.views.state import home_of
from llamatop.tui.monitor.windows import sampled

_ENGINE, _USED = attrgetter("engine_bytes"), attrgetter("used_bytes")
_SERVER = attrgetter("server_bytes")

_CORES = 32
"""Cores drawn one by one; more are drawn as the busiest of each group."""

_NARROW = 52
"""Cells below which the machine's memory is told as a share alone."""

_LOWEST = 4
"""Rows that each of several charts needs."""


_PARTED, _EXPLAINED = 4, 8
"""Rows beside the figures from which the prediction is shown by parts, and with their sizes."""


def _own_parts(session: Session) -> dict[str, int]:
    """See `own_memory`; nothing where no server is watched."""
    if not session.watched:
        return {}
    from llamatop.figures.own_memory import own_parts  # noqa: PLC0415  (not for the first paint)

    return own_parts(session.watched.values())


def memory(frame: Frame, width: int, height: int) -> Content:
    """What stands inside the panel."""
    session = frame.session
    window = window_of(frame, width)
    predicted = _predicted(session)
    parts, name = predicted.parts if predicted is not None else {}, "predicted"
    if told := _own_parts(session):
        parts, name = told, "its own"
    figures = _figures(frame, width, height)
    lines: list[Line] = [tuple(fitting(groups, width - 1, "   ")) for groups in figures]
    title = server_title(session) if on_servers(session) else ""
    if not lines:
        return Content(title=title)
    parted = bool(sum(parts.values())) and height - len(figures) >= _PARTED
    if parted:
        lines.append(bar_line(name, parts, width - 1))
        lines += [legend(parts, width - 1)] if height - len(lines) >= _EXPLAINED else []
    corner = _corner(session, predicted, width) if predicted is not None and not parted else []
    room = height - len(lines)
    if room < 1:
        return Content(lines[:height], corner=corner, title=title)
    lines += _chart(frame, window, width, room)
    axis = time_axis(window, width, session.ended is not None)
    return Content(lines, corner=corner, foot=axis, title=title)


def _corner(session: Session, predicted: MemoryPredicted, width: int) -> list[Sequence[Span]]:
    """The prediction where it has no row of its own: its parts as a bar in the border."""
    peak, cells = _peak(predicted), min(width - _BORDER, _LONGEST)
    if peak is None:
        return []
    home = home_of(session) if len(session.devices) > 1 and _on_device(predicted) else None
    where = f"gpu {home} " if home is not None else ""
    told: list[Span] = [(f"{where}predicted ", "dim"), (size(peak), "text")]
    known = cells >= _SHORTEST and sum(predicted.parts.values()) > 0
    return [[*told, ("  ", "text"), *pieces(predicted.parts, cells)] if known else told]


_BORDER, _SHORTEST, _LONGEST = 38, 8, 40
"""Cells that the border holds beside the bar; of the bar itself."""

_BESIDE_SERVERS = 2
"""Rows for all but the servers."""

_BESIDE = 4
"""Rows for all but the accelerators; where theirs do not fit beside these, they share one."""


def _figures(frame: Frame, width: int, height: int) -> list[list[Sequence[Span]]]:
    """The rows of figures, each of groups; the cores give way to a chart of the accelerators."""
    session = frame.session
    devices = rows_of(session)
    if len(session.devices) > 1 and len(devices) > max(height - _BESIDE, 1):
        charted = _charted(frame)
        one = charted.device if charted is not None else None
        known = devices_of(session)
        devices = [together(session) if one is None else devices[known.index(one)]]
    of_servers: list[list[Sequence[Span]]] = []
    if on_servers(session):
        spare = _BESIDE_SERVERS if height > _LOWEST else 1
        of_servers = server_rows(session, width, max(height - spare, 1))
    ranks = _ranks(session, height) if session.ranks else []
    rows = [*of_servers, _host(session, width), *ranks, *devices, _cores(frame)]
    rows = [groups for groups in rows if any(groups)]
    return rows[:-1] if session.devices and len(rows) >= height > 1 else rows


def _predicted(session: Session) -> MemoryPredicted | None:
    """Of the newest level."""
    return session.predicted.get(session.level.id) if session.level else None


def _on_device(predicted: MemoryPredicted) -> bool:
    return predicted.device_bytes is not None


def _peak(predicted: MemoryPredicted) -> int | None:
    """What the model is to take where it runs, in bytes."""
    if not _on_device(predicted):
        return predicted.host_bytes
    return sum(predicted.parts.values()) or predicted.device_bytes


def _host(session: Session, width: int) -> list[Sequence[Span]]:
    sample = session.host[-1] if session.host else None
    if sample is None:
        return []
    share = share_of(sample.used_bytes, sample.total_bytes)
    groups: list[Sequence[Span]] = [
        [label(_whose(session)), (f"{size(sample.engine_bytes):>8}", "memory.bold")],
        [("machine ", "dim"), *(share if width >= _NARROW else share[-1:])],
    ]
    return groups


def _ranks(session: Session, height: int) -> list[list[Sequence[Span]]]:
    """A row for each process that shares the model; one for all where they have no room."""
    ranks = [session.ranks[rank] for rank in sorted(session.ranks)]
    if len(ranks) > max(height - _BESIDE, 0):
        known = [one.resident_bytes for one in ranks if one.resident_bytes is not None]
        largest = size(max(known, default=None))
        of_all: list[Sequence[Span]] = [
            [label(f"{len(ranks)} ranks"), (f"{largest:>8}", "memory.bold")],
            [("the largest", "dim")],
        ]
        return [of_all]
    return [
        [
            [label(f"rank {one.rank}"), (f"{size(one.resident_bytes):>8}", "memory.bold")],
            [(one.device, "dim")],
        ]
        for one in ranks
    ]


def _whose(session: Session) -> str:
    """What the process is whose memory is sampled: a server's client holds no model."""
    return "client" if on_servers(session) else "engine"


def _cores(frame: Frame) -> list[Sequence[Span]]:
    """Each core as an upright bar, beside it what the engine takes, and others if notably."""
    session = frame.session
    sample = session.host[-1] if session.host else None
    if sample is None or not sample.cpu_percent:
        return []
    cores = sample.cpu_percent
    group = -(-len(cores) // _CORES)
    busy = [max(cores[i : i + group]) / 100 for i in range(0, len(cores), group)]
    mean = sum(cores) / len(cores)
    wide = max(LABEL - len(" cpu ") - len(busy), 0) + 6
    groups: list[Sequence[Span]] = [
        [(" cpu ", "dim"), (columns(busy)[0], "dim"), (f"{mean:>{wide}.0f} %", "text")]
    ]
    if sample.engine_cpu_percent is not None:
        groups.append(
            [(f"{_whose(session)} ", "dim"), (f"{sample.engine_cpu_percent:>5.0f} %", "text")]
        )
    others = frame.figures.log().neighbours.percent
    if others is not None:
        groups.append([("others ", "dim"), (f"{others:>5.0f} %", "warn")])
    return groups


class Charted(NamedTuple):
    """A memory that can be drawn over time, and of which accelerator it is."""

    name: str
    samples: Sequence[Event]
    value: str
    """The field of a sample that holds its bytes."""
    device: int | None = None
    foretold: bool = False
    """Whether its peak is predicted."""


def charted_of(session: Session) -> list[Charted]:
    """All of which samples are there: the engine, the machine, each accelerator in three ways."""
    found: list[Charted] = []
    if on_servers(session) and server_bytes(session) is not None:
        found += [Charted("server", session.host, "server_bytes")]
    if server_device_bytes(session) is not None:
        found += [Charted("server gpu", session.host, "server_device_bytes")]
    if session.host:
        found += [Charted(_whose(session), session.host, "engine_bytes", foretold=True)]
        found += [Charted("machine", session.host, "used_bytes")]
    for device in devices_of(session):
        used, held = session.devices.get(device), session.allocated.get(device)
        if used:
            found.append(Charted(f"gpu {device} used", used, "used_bytes", device, foretold=True))
        if held:
            name = f"gpu {device}"
            found.append(Charted(f"{name} allocated", held, "allocated_bytes", device))
            found.append(Charted(f"{name} reserved", held, "reserved_bytes", device))
    return found


def _charted(frame: Frame) -> Charted | None:
    """What a person has chosen to see over time."""
    place, known = frame.choices.charted, charted_of(frame.session)
    return known[min(place, len(known) - 1)] if place is not None and known else None


def turned(frame: Frame, steps: int) -> None:
    """Choose a memory so many places on; before the first stands what suits."""
    choices, last = frame.choices, len(charted_of(frame.session)) - 1
    at = -1 if choices.charted is None else choices.charted
    at = min(max(at + steps, -1), last)
    choices.charted = None if at < 0 else at


def _chart(frame: Frame, window: Window, width: int, height: int) -> list[Line]:
    """What was chosen; else what the model takes, on each accelerator that there is room for."""
    session, one = frame.session, _charted(frame)
    if one is not None:
        told = attrgetter(one.value)
        values = sampled(one.samples, told, session.now, window.step, window.count)
        line = _line(session, one.device) if one.foretold else None
        return _area(tuple(values), f"{one.name}  ", width, height, line)
    if not session.devices:
        used, name = _ENGINE, ""
        if on_servers(session):
            seen = server_bytes(session) is not None
            used, name = (_SERVER, "server  ") if seen else (_USED, "machine  ")
        values = sampled(session.host, used, session.now, window.step, window.count)
        return _area(tuple(values), name, width, height, _line(session, None))
    home = home_of(session)
    by_importance = sorted(session.devices, key=lambda device: (device != home, device))
    shown = sorted(by_importance[: max(height // _LOWEST, 1)])
    lines: list[Line] = []
    for i, device in enumerate(shown):
        rows = height * (i + 1) // len(shown) - height * i // len(shown)
        samples = session.devices[device]
        values = sampled(samples, _USED, session.now, window.step, window.count)
        name = f"gpu {device}  " if len(session.devices) > 1 else ""
        lines += _area(tuple(values), name, width, rows, _line(session, device))
    return lines


def _line(session: Session, device: int | None) -> float | None:
    """The predicted peak of the newest level, if it is to be on that device (None: the host)."""
    predicted = _predicted(session)
    if predicted is None:
        return None
    if device is None:
        return predicted.host_bytes
    return _peak(predicted) if _on_device(predicted) and device == home_of(session) else None


@lru_cache(maxsize=16)
def _area(
    values: tuple[float | None, ...], name: str, width: int, height: int, line: float | None
) -> list[Line]:
    """The chart, made once for each step's samples, not for each frame.

    `line`: a height to draw across, which the chart is made high enough for.
    """
    top = ceiling(highest([*values, line]))
    drawn = chart(values, "memory", width, height, top)
    if line is not None and height > 1:
        row = min(max(height - 1 - int(line / top * height), 0), height - 1)
        drawn[row] = _dashed(drawn[row])
    told = name + size(top) if highest([*values, line]) > 0 else name
    return labelled(drawn, told) if height > 1 else drawn


def _dashed(line: Line) -> Line:
    """Dashes wherever the area leaves a cell empty."""
    text = "".join(part for part, _ in line)
    empty = [i for i, char in enumerate(text) if char == " "]
    return laid_over(line, [(i, "╌", "dim") for i in empty])
