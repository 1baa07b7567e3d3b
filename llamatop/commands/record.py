"""A run without a screen: measured, recorded, summed up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from llamatop.commands.show import print_log, print_summary
from llamatop.errors import InputError
from llamatop.predict.prepare import measure_once, prepare
from llamatop.predict.residuals import Residual, remember
from llamatop.recording.default_path import default_path, named_after
from llamatop.recording.writer import Recorder
from llamatop.reports.outcome import failure
from llamatop.reports.summary import all_figures
from llamatop.run import headless
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump, Sink
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig


def record(
    config: RunConfig,
    out: str | None,
    keep_text: bool,
    as_json: bool,
    verbose: bool = False,
    *,
    sinks: Sequence[Sink] = (),
) -> int:
    """Run a config to its end; the exit code. Raises InputError when it cannot run at all.

    `verbose` tells on stderr of each request, and what the engine's libraries printed. `sinks`
    get every event too.
    """
    path = out or str(default_path(config.called))
    named = None if out or config.model else named_after
    recorder = Recorder(path, keep_text, named)
    try:
        if config.loads_model:
            measure_once(config, _tell)
    except InputError:
        recorder.discard()
        raise
    live = LiveRun(config, prepare=prepare if config.loads_model else None)
    pump = Pump(live, Session(), [recorder, *sinks])
    with headless.Signals() as signals:
        headless.run(live, pump, signals, verbose)
        if verbose:
            print_log(live.printed)
        if pump.session.refused is not None:
            recorder.discard()
            raise InputError(pump.session.refused)
        recorder.close()
        path = str(Path(path).with_name(recorder.path.name))
    _learn(pump.session)
    stopped = f"recording stopped: {recorder.error}" if recorder.error is not None else None
    error = failure(pump.session) or stopped
    for told in dict.fromkeys(filter(None, (stopped, error))):
        print(f"llamatop: {told}", file=sys.stderr)
    whole = recorder.error is None or not recorder.saved
    print_summary(as_json, pump.session, path if recorder.saved else None, whole, error)
    if signals.caught is not None:
        return 128 + signals.caught
    return 0 if error is None else 1


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
        for said, found in (
            (figures.predicted_host_bytes, figures.host_peak_bytes),
            (figures.predicted_device_bytes, figures.device_peak_bytes),
        ):
            if said and found:
                quantized = bool(model.quantization)
                remember(Residual(model.device, model.engine, said, found, quantized))
