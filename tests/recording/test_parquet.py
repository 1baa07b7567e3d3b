from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from llamatop.errors import InputError
from llamatop.events.kinds import Event, RunEnded, Tick, TokensEmitted
from llamatop.recording import checks, parquet
from llamatop.recording.files import open_new
from llamatop.recording.footer import footer_of
from llamatop.recording.reader import open_recording
from llamatop.recording.schema import COLUMNS, table_of
from llamatop.recording.writer import Recorder
from tests.recording import runs

EVENTS = runs.without_text(runs.run())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "a.parquet"
    recorder = Recorder(path)
    recorder.write(EVENTS)
    recorder.close()
    assert recorder.error is None
    return path


def seal(path: Path, table: pl.DataFrame, facts: dict[str, str] | None = None) -> Path:
    """Write a table as a recorder would."""
    with open_new(path) as file:
        parquet.write_table(file, [table], facts or {"schema": "1"})
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        open_recording(path)
    message = str(refused.value)
    assert message.isprintable()
    assert path.name in message
    return message


def test_any_tool_reads_it(whole: Path) -> None:
    table = pl.read_parquet(whole)
    assert dict(table.schema) == COLUMNS
    assert table.height == len(EVENTS)
    assert pl.read_parquet_metadata(whole)["llamatop.model"] == "demo"


def test_facts_are_those_allowed_and_no_others(whole: Path) -> None:
    facts = open_recording(whole).facts
    assert set(facts) == {
        *("schema", "version", "model", "engine", "started_at", "complete", "events"),
        *("text", "journal", "checksum"),
    }
    assert (facts["engine"], facts["complete"]) == ("scripted", "true")


def test_a_flipped_bit_anywhere_is_detected(
    whole: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    data = whole.read_bytes()
    path = tmp_path / "a.parquet"
    chance = random.Random(2)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    places = [*range(4), *range(footer, len(data), 9), *range(4, footer, 41)]
    refused = 0
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            assert open_recording(path).events == EVENTS
        except InputError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused > 0.95 * len(places)
    told = f"{len(places)} bits of a Parquet file, {refused} refused, the others changed nothing"
    record_property("figure", told)


def test_cut_anywhere_is_one_line(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    path = tmp_path / "a.parquet"
    for cut in [0, 1, 3, 4, 7, 8, 11, 12, *range(13, len(data), 311), len(data) - 1]:
        path.write_bytes(data[:cut])
        refusal(path)


def test_damaged_within_is_refused(whole: Path, tmp_path: Path) -> None:
    data = bytearray(whole.read_bytes())
    data[100] ^= 1
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    assert "checksum does not match" in refusal(path)


def test_missing_columns_are_named(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.read_parquet(whole).drop("kind", "count").write_parquet(path)
    assert "kind, count" in refusal(path)


def test_another_tools_file_is_read_with_a_notice(whole: Path, tmp_path: Path) -> None:
    """Columns, kinds and types that are not ours, and our checksum copied with the metadata."""
    metadata = pl.read_parquet_metadata(whole)
    facts = {key: value for key, value in metadata.items() if key.startswith("llamatop.")}
    table = pl.read_parquet(whole).with_columns(
        pl.lit(7).alias("extra"),
        pl.col("request").cast(pl.Float64).fill_null(float("nan")),
        pl.col("kind").cast(pl.Categorical),
    )
    path = tmp_path / "a.parquet"
    table.select(reversed(table.columns)).write_parquet(path, metadata=facts, compression="snappy")
    recording = open_recording(path)
    assert recording.events == EVENTS
    assert recording.complete
    (notice,) = recording.notices
    assert "checksum" in notice


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("2", "newer llamatop .schema 2"),
        ("x", "damaged"),
        ("9" * 5000, "damaged"),
        ("²", "damaged"),
    ],
)
def test_a_schema_that_cannot_be_read_is_named(tmp_path: Path, schema: str, told: str) -> None:
    path = seal(tmp_path / "a.parquet", table_of(EVENTS, False), {"schema": schema})
    with pytest.raises(InputError, match=told):
        open_recording(path)


def test_times_that_go_backwards_stay_and_those_below_zero_are_left_out(tmp_path: Path) -> None:
    true: list[Event] = [runs.started(), Tick(5), Tick(3), RunEnded(1, "ok")]
    absurd: list[Event] = [Tick(-3), TokensEmitted(-(2**63), 1, -1)]
    path = seal(tmp_path / "a.parquet", table_of([*true[:2], *absurd, *true[2:]], False))
    found = open_recording(path)
    assert found.events == true
    assert found.notices[-1].endswith("rows that fit no event were left out: 2")


def test_damage_that_polars_dies_of_is_one_line(whole: Path, tmp_path: Path) -> None:
    """Without a checksum nothing but decoding can tell; it may panic, or abort."""
    path = tmp_path / "a.parquet"
    pl.read_parquet(whole).write_parquet(path)
    data = bytearray(path.read_bytes())
    data[4 : footer_of(data).start] = b"\xff" * (footer_of(data).start - 4)
    path.write_bytes(data)
    assert refusal(path).endswith("is damaged: it cannot be decoded")


def test_rows_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    table = table_of([*EVENTS, TokensEmitted(1, 2, 3)], False)
    table = table.with_columns(pl.col("count").replace(3, None))
    recording = open_recording(seal(tmp_path / "a.parquet", table))
    assert recording.events == EVENTS
    assert not recording.complete
    assert recording.notices == [f"{tmp_path}/a.parquet: rows that fit no event were left out: 1"]


def test_few_bytes_that_claim_many_rows_are_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.parquet"
    table = table_of([Tick(1)] * parquet.ROW_GROUP, False)
    with open_new(path) as file:
        parquet.write_table(file, (table for _ in range(40)), {"schema": "1"})
    assert path.stat().st_size < 234_000
    monkeypatch.setattr(pl, "scan_parquet", None)
    assert "5,242,880 events" in refusal(path)


def test_few_bytes_that_claim_long_texts_are_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.parquet"
    seal(path, table_of([TokensEmitted(1, 1, 1, "a" * (20 << 20))], True))
    monkeypatch.setattr(checks, "FLOOR", 16 << 20)
    monkeypatch.setattr(checks, "PER_BYTE", 10)
    monkeypatch.setattr(pl, "scan_parquet", None)
    assert "bytes of memory" in refusal(path)


def test_one_long_text_under_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dictionary holds the text once, so the footer's sizes are honest."""
    table = table_of([TokensEmitted(1, 1, 1, "a" * (1 << 16))], True)
    path = seal(tmp_path / "bomb.parquet", table.select(pl.all().repeat_by(300).explode()))
    monkeypatch.setattr(checks, "FLOOR", 16 << 20)
    assert "texts would take" in refusal(path)


def test_a_footer_that_lies_about_its_lists_ends_at_its_end() -> None:
    for footer in (
        b"\x29\xfc\xff\xff\xff\xff\x0f",
        b"\x19" * 9000,
        b"\x1c" * 9000,
        b"\x18\xff\xff\x7f",
    ):
        data = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
        with pytest.raises(ValueError, match="damaged"):
            footer_of(data)


def test_many_row_groups_come_back_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 100)
    tables = [table_of([Tick(n * 30 + i) for i in range(30)], False) for n in range(50)]
    buffer = io.BytesIO()
    parquet.write_table(buffer, tables, {"schema": "1"})
    (tmp_path / "a.parquet").write_bytes(buffer.getvalue())
    recording = open_recording(tmp_path / "a.parquet")
    assert recording.events == [Tick(n) for n in range(1500)]
    assert recording.notices == []
