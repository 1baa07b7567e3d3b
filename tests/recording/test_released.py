"""What each released schema wrote opens for ever, and says what it said.

The files of a folder `schema-N` were written by the first code that had that schema, from the
events of `tests/recording/runs.py` as it was then. A new schema brings a folder of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llamatop.recording.reader import fold_recording, open_recording
from llamatop.recording.schema import SCHEMA_VERSION
from llamatop.reports.summary import summary

RELEASED = Path(__file__).parent.parent / "data" / "released"
VERSIONS = range(1, SCHEMA_VERSION + 1)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["whole.parquet", "cut-off.parquet"])
def test_what_was_released_opens_for_ever(tmp_path: Path, version: int, name: str) -> None:
    folder = Path(shutil.copytree(RELEASED / f"schema-{version}", tmp_path / "copy"))
    recovered = not (folder / name).exists()
    recording = open_recording(folder / name)
    assert recording.complete
    assert len(recording.events) == 183
    assert recording.facts["schema"] == str(version)
    assert any("recovered" in notice for notice in recording.notices) == recovered
    told = summary(fold_recording(folder / name).session, name)
    (level,) = told["levels"]
    assert (told["model"], told["engine"]) == ("demo", "scripted")
    assert (level["completed"], level["failed"], level["output_tokens"]) == (8, 1, 128)
    assert level["tpot_s"]["p50"] == pytest.approx(0.001)
    assert level["ttft_s"]["p50"] == pytest.approx(0.001)
