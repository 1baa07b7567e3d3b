"""Real result files of other tools, and what the tests do with them."""

from __future__ import annotations

from pathlib import Path

from llamatop.imports.events import events_of
from llamatop.imports.recognise import read
from llamatop.imports.told import Run
from llamatop.recording.reader import fold_recording
from llamatop.recording.tables import Table
from llamatop.recording.whole import write_whole
from llamatop.session.reducer import Session

FOLDER = Path(__file__).parent.parent / "data" / "peer-results"

TIMELINES = sorted(
    [
        *FOLDER.glob("vllm-bench-serve-*/*.json"),
        *(path for path in FOLDER.glob("aiperf-*/*") if path.is_dir()),
        *FOLDER.glob("guidellm-*/*.json"),
        *(path for path in FOLDER.glob("inference-perf-*/*") if path.is_dir()),
        *FOLDER.glob("llama-benchy-*/*.progress.jsonl"),
        *(path for path in FOLDER.glob("mlcommons-loadgen-*/*") if path.is_dir()),
    ]
)
TABLES = sorted(
    [
        *FOLDER.glob("genai-bench-*/*"),
        *FOLDER.glob("llama-bench-b*/*.jsonl"),
        *(p for p in FOLDER.glob("llama-benchy-*/*.json") if ".progress" not in p.name),
        *FOLDER.glob("optimum-benchmark-*/*.json"),
        *FOLDER.glob("mlcommons-loadgen-*/*/mlperf_log_summary.txt"),
    ]
)


def name(path: Path) -> str:
    return str(path.relative_to(FOLDER))


def run_in(path: Path, keep_text: bool = False) -> Run:
    [(_, found)] = read(path, keep_text)
    assert isinstance(found, Run)
    return found


def table_in(path: Path) -> Table:
    [(_, found)] = read(path)
    assert isinstance(found, Table)
    return found


def imported(path: Path, folder: Path, keep_text: bool = False) -> Session:
    """Written as a recording, read back and folded."""
    out = folder / "run.parquet"
    write_whole(out, *events_of(run_in(path, keep_text), keep_text))
    folded = fold_recording(out)
    assert folded.complete
    assert not folded.notices
    return folded.session
