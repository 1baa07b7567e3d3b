"""A run without a screen: measured, recorded, summed up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from llamatop.commands.ending import lost_server
from llamatop.commands.show import Shown, print_log, print_summaries, print_summary
from llamatop.errors import InputError
from llamatop.predict.prepare import measure_once, prepare
from llamatop.predict.residuals import Residual, remember
from llamatop.recording.default_path import default_path, named_after, numbered
from llamatop.recording.writer import Named, Recorder
from llamatop.reports.outcome import failure
from llamatop.reports.repeated import repeated_text
from llamatop.reports.runs import run_of
from llamatop.reports.summary import all_figures
from llamatop.run import headless
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump, Sink
from llamatop.run.shelf import Shelf
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.settings.repeats import repeats


class Recorded(NamedTuple):
    """How a run went."""

    shown: Shown
    caught: int | None
    """The signal that stopped it."""

    @property
    def code(self) -> int:
        """The exit code."""
        return 128 + self.caught if self.caught is not None else int(self.shown.error is not None)


def record(
    config: RunConfig,
    out: str | None,
    keep_text: bool,
    as_json: bool,
    verbose: bool = False,
    *,
    runs: int = 1,
    sinks: Sequence[Sink] = (),
) -> int:
    """Run a config to its end, `runs` times; the exit code, the first that is not 0.

    Raises InputError when it cannot run at all. `verbose` tells on stderr of each request, and
    what the engine's libraries printed. `sinks` get every event too.
    """
    path = Path(out or default_path(config.called))
    named = None if out or config.model or runs > 1 else named_after
    done: list[Recorded] = []
    for place, one in enumerate(repeats(config, runs, path.name.removesuffix(".parquet")), 1):
        where = path if runs == 1 else numbered(path, place)
        if runs > 1:
            print(f"run {place} of {runs}", file=sys.stderr)
        done.append(record_one(one, where, keep_text, named, verbose=verbose, sinks=sinks))
        if done[-1].caught is not None:
            break
    shown = [one.shown for one in done]
    if runs == 1:
        print_summary(as_json, shown[0])
    else:
        print_summaries(as_json, shown)
        if not as_json:
            print(f"\n\n{repeated_text([run_of(one.session, one.path or '') for one in shown])}")
    return done[-1].code if done[-1].caught else next((one.code for one in done if one.code), 0)


def record_one(
    config: RunConfig,
    path: Path,
    keep_text: bool = False,
    named: Named | None = None,
    *,
    verbose: bool = False,
    sinks: Sequence[Sink] = (),
) -> Recorded:
    """Run a config to its end, recorded at `path`, or beside it where it shall be `named` after
    its model. Raises InputError as `record`."""
    recorder = Recorder(path, keep_text, named)
    try:
        if config.loads_model:
            measure_once(config, _tell)
        live = LiveRun(config, prepare=prepare if config.loads_model else None)
    except InputError:
        recorder.discard()
        raise
    pump = Pump(live, Session(texts=False), [recorder, *sinks])
    with headless.Signals() as signals, Shelf(recorder.path.parent) as shelf:
        headless.run(live, pump, signals, shelf, verbose)
        if verbose:
            print_log(live.printed)
        if lost_server(pump.session):
            print_log(live.server_printed, "server")
        if pump.session.refused is not None:
            recorder.discard()
            raise InputError(pump.session.refused)
        recorder.close()
        session = shelf.whole(pump.session)
    _learn(session)
    stopped = f"recording stopped: {recorder.error}" if recorder.error is not None else None
    error = failure(session) or stopped
    for told in dict.fromkeys(filter(None, (stopped, error))):
        print(f"llamatop: {told}", file=sys.stderr)
    kept = str(path.with_name(recorder.path.name)) if recorder.kept else None
    return Recorded(Shown(session, kept, recorder.error is None, error), signals.caught)


def _tell(what: str) -> None:
    """Progress, for whoever sits there and waits."""
    if sys.stderr.isatty():
        print(what, file=sys.stderr)


def _learn(session: Session) -> None:
    """Keep how far each prediction was off; `check` gives its error band from that.

    Not where lengths were drawn: then the prediction was of the longest, which none may have had.
    """
    model = session.model
    if session.started is None or session.started.config.varied:
        return
    for figures in all_figures(session) if model is not None else ():
        if figures.outcome != "ok" or model is None:
            continue
        told = session.predicted.get(figures.level)
        libraries = told.parts.get("runtime", 0) if told else 0
        for said, found, beside in (
            (figures.predicted_host_bytes, figures.host_peak_bytes, libraries),
            (figures.predicted_device_bytes, figures.device_peak_bytes, 0),
        ):
            if said and found:
                quantized = bool(model.quantization)
                remember(Residual(model.device, model.engine, said, found, beside, quantized))
