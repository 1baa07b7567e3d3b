"""The memory panel: engine, machine, each accelerator and core, on the throughput's seconds."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.events import DeviceAllocated, DeviceSampled, HostSampled, MemoryPredicted
from llamatop.formatting import size
from llamatop.sanitize import one_line
from llamatop.session import Session
from llamatop.tui.charts import ceiling, columns, highest
from llamatop.tui.figures import sampled
from llamatop.tui.frame import Frame
from llamatop.tui.lines import Line, Span, clip, fitting, laid_over
from llamatop.tui.views.history import Window, chart, labelled, time_axis, window_of
from llamatop.tui.views.panel import Content
from llamatop.tui.views.parts import bar_line, legend
from llamatop.tui.views.state import home_of
from llamatop.tui.views.told import reasons_of

_CORES = 32
"""Cores drawn one by one; more are drawn as the busiest of each group."""

_NARROW = 52
"""Cells below which the machine's memory is told as a share alone."""

_LOWEST = 4
"""Rows that each of several charts needs."""

_TIGHT = 0.92
"""Share of a memory in use from which it is worth a warning."""


_PARTED, _EXPLAINED = 4, 8
"""Rows beside the figures from which the prediction is shown by parts, and with their sizes."""


def memory(frame: Frame, width: int, height: int) -> Content:
    """What stands inside the panel."""
    session = frame.session
    window = window_of(frame, width)
    predicted = _predicted(session)
    parts = predicted.parts if predicted is not None else {}
    figures = _figures(frame, width, height)
    parted = bool(sum(parts.values())) and height - len(figures) >= _PARTED
    if predicted is not None and not parted and figures:
        owner = min(1 + (home_of(session) or 0), len(figures) - 1) if _on_device(predicted) else 0
        figures[owner].insert(_AFTER, _words("predicted ", _peak(predicted)))
    lines: list[Line] = [tuple(fitting(groups, width - 1, "   ")) for groups in figures]
    if not lines:
        return Content()
    if parted:
        lines.append(bar_line("predicted", parts, width - 1))
        lines += [legend(parts, width - 1)] if height - len(lines) >= _EXPLAINED else []
    room = height - len(lines)
    if room < 1:
        return Content(lines[:height])
    lines += _chart(session, window, width, room)
    return Content(lines, foot=time_axis(window, width, session.ended is not None))


_AFTER = 2
"""Groups of a row that are more important than its prediction."""


def _figures(frame: Frame, width: int, height: int) -> list[list[Sequence[Span]]]:
    """The rows of figures, each of groups; the cores give way to a chart of the accelerators."""
    session = frame.session
    rows = [_host(session, width), *_devices(session), _cores(frame)]
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


def _words(name: str, value: int | None) -> Sequence[Span]:
    return [(name, "dim"), (f"{_bytes(value):>8}", "text")] if value is not None else []


def _host(session: Session, width: int) -> list[Sequence[Span]]:
    sample = session.host[-1] if session.host else None
    if sample is None:
        return []
    share = _share(sample.used_bytes, sample.total_bytes)
    groups: list[Sequence[Span]] = [
        [(" engine ", "dim"), (f"{_bytes(sample.engine_bytes):>8}", "memory.bold")],
        [("machine ", "dim"), *(share if width >= _NARROW else share[-1:])],
    ]
    return groups


def _bytes(value: int | None) -> str:
    return size(value) if value is not None else "N/A"


def _share(used: int | None, total: int | None) -> list[Span]:
    """`5.60 of 16.0 GB  35 %`; in warning colour when nearly full."""
    if used is None or not total:
        return [(_bytes(used), "text")]
    role = "warn" if used / total >= _TIGHT else "text"
    return [
        (f"{size(used):>8}", role),
        (f" of {size(total)}", "dim"),
        (f"{used / total:>5.0%}".replace("%", " %"), role),
    ]


def _devices(session: Session) -> list[list[Sequence[Span]]]:
    """A row of groups for each accelerator."""
    known = sorted(session.devices.keys() | session.allocated.keys())
    return [_device(session, device) for device in known]


def _device(session: Session, device: int) -> list[Sequence[Span]]:
    samples, held = session.devices.get(device), session.allocated.get(device)
    sample = samples[-1] if samples else None
    groups: list[Sequence[Span]] = [[(f" gpu {device} ", "dim"), *_gpu_memory(sample, held)]]
    if sample is not None:
        groups.append(_told(sample))
    if held:
        groups.append(
            [
                ("allocated ", "dim"),
                (f"{size(held[-1].allocated_bytes):>8}", "text"),
                ("  reserved ", "dim"),
                (f"{size(held[-1].reserved_bytes):>8}", "text"),
            ]
        )
    if sample is not None:
        groups.append([(clip(one_line(sample.name), 24), "dim")])
    return groups


def _gpu_memory(sample: DeviceSampled | None, held: Sequence[DeviceAllocated] | None) -> list[Span]:
    if sample is not None and sample.used_bytes is not None:
        return [*_share(sample.used_bytes, sample.total_bytes)]
    return [("N/A", "dim")] if not held else []


def _told(sample: DeviceSampled) -> list[Span]:
    """Utilisation, power and temperature, as far as the device tells them; what slows it down."""
    parts = [
        (sample.utilization, " %", 3),
        (sample.power_watts, " W", 4),
        (sample.temperature, " °C", 3),
    ]
    spans: list[Span] = []
    for value, unit, width in parts:
        if value is not None:
            spans += [(f"{value:>{width}.0f}", "text"), (f"{unit} ", "dim")]
    if sample.throttle:
        spans.append((f" slowed by {' and '.join(reasons_of(sample.throttle))}", "warn"))
    return spans


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
    groups: list[Sequence[Span]] = [
        [
            (" cpu    ", "dim"),
            (columns(busy)[0], "memory"),
            (f"{mean:>{8 - min(len(busy), 4)}.0f} %", "text"),
        ]
    ]
    if sample.engine_cpu_percent is not None:
        groups.append([("engine ", "dim"), (f"{sample.engine_cpu_percent:>5.0f} %", "text")])
    others = frame.figures.log().neighbours.percent
    if others is not None:
        groups.append([("others ", "dim"), (f"{others:>5.0f} %", "warn")])
    return groups


def _chart(session: Session, window: Window, width: int, height: int) -> list[Line]:
    """What the model takes: on each accelerator that there is room for, else in the engine."""
    if not session.devices:
        values = sampled(session.host, _engine, session.now, window.step, window.count)
        return _area(values, "", width, height, _line(session, None))
    shown = sorted(session.devices)[: max(height // _LOWEST, 1)]
    lines: list[Line] = []
    for i, device in enumerate(shown):
        rows = height * (i + 1) // len(shown) - height * i // len(shown)
        samples = session.devices[device]
        values = sampled(samples, _device_used, session.now, window.step, window.count)
        name = f"gpu {device}  " if len(shown) > 1 else ""
        lines += _area(values, name, width, rows, _line(session, device))
    return lines


def _line(session: Session, device: int | None) -> float | None:
    """The predicted peak of the newest level, if it is to be on that device (None: the host)."""
    predicted = _predicted(session)
    if predicted is None:
        return None
    if device is None:
        return predicted.host_bytes
    return _peak(predicted) if _on_device(predicted) and device == home_of(session) else None


def _area(
    values: Sequence[float | None], name: str, width: int, height: int, line: float | None = None
) -> list[Line]:
    """`line`: a height to draw across, which the chart is made high enough for."""
    top = ceiling(highest([*values, line]))
    drawn = chart(values, "memory", width, height, top)
    if line is not None and height > 1:
        row = min(max(height - 1 - int(line / top * height), 0), height - 1)
        drawn[row] = _dashed(drawn[row])
    return labelled(drawn, name + size(top)) if height > 1 else drawn


def _dashed(line: Line) -> Line:
    """Dashes wherever the area leaves a cell empty."""
    text = "".join(part for part, _ in line)
    empty = [i for i, char in enumerate(text) if char == " "]
    return laid_over(line, [(i, "╌", "dim") for i in empty])


def _engine(sample: HostSampled) -> float | None:
    return sample.engine_bytes


def _device_used(sample: DeviceSampled) -> float | None:
    return sample.used_bytes
