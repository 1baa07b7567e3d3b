"""What recording costs at its quickest: processor time an event, and bytes a token.

    python benchmarks/recording.py --events 1000000

Events of a scripted run (8 requests at once, 200 tokens each) are handed to a recorder in the
portions in which a run hands them over, ten a second of its own time, as fast as they can be
written. So the processor time is that of all threads of the recorder, and of nothing else; a run's
own journal, written twice a second, has smaller parts than here. What recording adds to a live run
is told by `client.py cost`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event, TokensEmitted
from llamatop.recording.writer import Recorder
from llamatop.settings.config import RunConfig

STEP = 0.02
"""Seconds from one token of a request to its next."""
LOOK = SECOND // 10
"""How often a run hands its events over (ns)."""


def portions(events: list[Event]) -> Iterator[list[Event]]:
    """The events, as many at once as come in a tenth of a second."""
    portion: list[Event] = []
    until = LOOK
    for event in events:
        if event.time >= until and portion:
            yield portion
            portion, until = [], event.time + LOOK
        portion.append(event)
    yield portion


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    args = parser.parse_args()
    requests = max(args.events // 200, 8)
    config = RunConfig(engine="scripted", concurrency=(8,), requests=requests, gen_toks=200)
    events = script(config, Script(step=STEP))
    tokens = sum(one.count for one in events if isinstance(one, TokensEmitted))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.parquet"
        recorder = Recorder(path)
        began, worked = time.perf_counter(), time.process_time()
        for portion in portions(events):
            recorder.write(portion)
        written = time.process_time() - worked
        recorder.close()
        whole, spent = time.perf_counter() - began, time.process_time() - worked
        if recorder.error is not None:
            raise SystemExit(recorder.error)
        kept = path.stat().st_size
    print(f"{len(events):,} events, {tokens:,} tokens, {whole:.1f} s")
    print(f"handing over {written / len(events) * 1e6:.2f} us of processor time an event")
    print(f"in all       {spent / len(events) * 1e6:.2f} us, the Parquet file included")
    print(f"recording    {kept / tokens:.1f} bytes a token")


if __name__ == "__main__":
    main()
