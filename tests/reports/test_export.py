"""The tables, and the summary recomputed from them in plain polars, as in a notebook."""

import io
import json
import os
from pathlib import Path

import polars as pl
import pytest

from llamatop.engines.scripted import Script
from llamatop.errors import InputError
from llamatop.events.kinds import RequestFailed, Tick, TokensEmitted
from llamatop.events.sanitize import clean_event
from llamatop.recording.schema import block_of, table_of
from llamatop.reports.export import COLUMNS, FORMATS, encoded, events_table, one_table, write
from llamatop.reports.summary import summary
from llamatop.run.replay import fold
from tests.reports.samples import events

EVENTS = events((1, 2, 4), behaviour=Script(fail_every=7))
SESSION = fold(EVENTS)
BLOCK, _ = block_of(table_of(EVENTS, keep_text=True))


def tables() -> dict[str, pl.DataFrame]:
    return {
        "events": pl.concat(events_table([BLOCK])),
        **{name: pl.concat(one_table(name, SESSION)) for name in ("requests", "levels")},
    }


def test_every_column_is_documented() -> None:
    for name, table in tables().items():
        assert table.columns == list(COLUMNS[name])
    for name in ("requests", "levels"):
        assert pl.concat(one_table(name, fold([]))).columns == list(COLUMNS[name])
    assert pl.concat(events_table([])).columns == list(COLUMNS["events"])


def read(data: bytes, form: str, schema: pl.Schema) -> pl.DataFrame:
    if form == "csv":
        return pl.read_csv(io.BytesIO(data)).cast(dict(schema))
    if form == "parquet":
        return pl.read_parquet(io.BytesIO(data))
    rows = json.loads(data) if form == "json" else [json.loads(row) for row in data.splitlines()]
    return pl.DataFrame(rows, schema=schema)


def test_the_page_of_the_format_names_every_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recording-format.md").read_text()
    for table in COLUMNS.values():
        for column in table:
            stem, _, part = column.rpartition("_")
            brief = part in ("p50", "p90", "p99", "low", "high") and f"`…_{part}`" in page
            known = f"`{column}`" in page or (brief and stem != "")
            assert known or f"`{stem}`" in page, column


def bytes_of(parts: list[pl.DataFrame], form: str) -> bytes:
    file = io.BytesIO()
    encoded(parts, form, file)
    return file.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_formats_read_back(form: str) -> None:
    """Written in one part, in several, or with no row at all; null stays null."""
    for table in tables().values():
        for parts in ([table], [table[:2], table[2:3], table[3:]], [table[:0]]):
            whole = pl.concat(parts)
            assert read(bytes_of(parts, form), form, table.schema).equals(whole)


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    table = list(one_table("levels", SESSION))
    write(table, tmp_path / "new" / "levels.csv", "csv")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["levels.csv"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(table, tmp_path / "file" / "levels.csv", "csv")


@pytest.mark.parametrize("form", FORMATS)
def test_why_it_cannot_be_written(tmp_path: Path, form: str) -> None:
    (tmp_path / f".levels.{form}.new").symlink_to("/dev/full")
    with pytest.raises(InputError, match="cannot be written: the disk is full"):
        write(one_table("levels", SESSION), tmp_path / f"levels.{form}", form)


@pytest.mark.parametrize("form", FORMATS)
def test_a_reader_that_goes_away(form: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError), open(writing, "wb", buffering=0) as file:  # noqa: PTH123
        encoded(one_table("levels", SESSION), form, file)


def test_the_summary_recomputed_from_requests() -> None:
    requests = tables()["requests"].filter(~pl.col("warmup"))
    done = requests.filter(pl.col("state") == "done")
    for told in summary(SESSION, None)["levels"]:
        level = requests.filter(pl.col("concurrency") == told["concurrency"])
        good = done.filter(pl.col("concurrency") == told["concurrency"])
        seconds = (level["last_token_ns"].max() - level["scheduled_ns"].min()) / 1e9  # type: ignore[operator]
        assert told["requests"] == level.height
        assert told["failed"] == (level["state"] == "failed").sum()
        assert told["duration_s"] == seconds
        assert told["output_tok_s"] == level["output_tokens"].sum() / seconds
        assert told["request_s"] == good.height / seconds
        derived = good.select(
            ttft=(pl.col("first_token_ns") - pl.col("scheduled_ns")) / 1e9,
            tpot=(pl.col("last_token_ns") - pl.col("first_token_ns"))
            / 1e9
            / (pl.col("output_tokens") - 1),
            e2e=(pl.col("last_token_ns") - pl.col("scheduled_ns")) / 1e9,
        )
        for name in ("ttft", "tpot", "e2e"):
            assert_spread(told[f"{name}_s"], derived[name])


def test_the_itl_recomputed_from_events() -> None:
    emitted = tables()["events"].filter(pl.col("kind") == "TokensEmitted")
    gaps = emitted.with_columns(
        gap=pl.col("time_ns").diff().over("request") / 1e9 / pl.col("count")
    ).drop_nulls("gap")
    done = tables()["requests"].filter(~pl.col("warmup"), pl.col("state") == "done")
    gaps = gaps.join(done, on="request")
    for told in summary(SESSION, None)["levels"]:
        assert_spread(told["itl_s"], gaps.filter(concurrency=told["concurrency"])["gap"])


def assert_spread(told: dict[str, float], values: pl.Series) -> None:
    """To the last digit; a mean may differ in the order of its sum."""
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        quantile = values.quantile(share, "linear")
        assert told[name] == pytest.approx(quantile, rel=4e-16)
    assert told["mean"] == pytest.approx(values.mean(), rel=1e-15)


def test_levels_say_what_the_summary_says() -> None:
    rows = tables()["levels"].to_dicts()
    for row, told in zip(rows, summary(SESSION, None)["levels"], strict=True):
        assert row["output_tok_s"] == told["output_tok_s"]
        assert row["itl_s_p99"] == told["itl_s"]["p99"]
        assert row["host_peak_bytes"] == told["peak_memory"]["host_bytes"]
        assert row["steady_output_tok_s"] == told["steady_output_tok_s"]
        assert row["steady_from_s"] == told["steady_from_s"]
        for part in ("mean", "low", "high"):
            assert row[f"steady_tok_s_{part}"] == told["steady_tok_s"][part]
        for name in ("goodput_s", "mbu", "mfu", "held_back_by", "ended_by", "memory_ended_in"):
            assert row[name] == told[name], name
        assert row["predicted_host_bytes"] == told["predicted_memory"]["host_bytes"]


def test_events_are_told_clean() -> None:
    made = [TokensEmitted(1, 0, 1, "a\x1b[31m"), Tick(2), RequestFailed(3, 0, "b\x1b"), Tick(4)]
    block, _ = block_of(table_of(made, keep_text=True))
    (table,) = events_table([block])
    assert table.equals(table_of([clean_event(event) for event in made], keep_text=True))
    assert "\x1b" not in str(table.to_dicts())


def test_texts_that_begin_as_formulas_are_made_harmless_in_csv() -> None:
    texts = ["=1+1", "+x", "-5", "@a", "\tb", "plain", "'quoted", None, ""]
    table = pl.DataFrame({"text": texts, "n": [-1] * len(texts)})
    file = io.BytesIO()
    encoded([table], "csv", file, bom=True)
    assert file.getvalue().startswith(b"\xef\xbb\xbftext,n\n")
    back = pl.read_csv(io.BytesIO(file.getvalue()[3:]))
    expected = ["'=1+1", "'+x", "'-5", "'@a", "'\tb", "plain", "'quoted", None, ""]
    assert back["text"].to_list()[:7] == expected[:7]
    assert back["n"].to_list() == [-1] * len(texts), "a number is a number"


def test_parquet_keeps_what_the_recording_says_of_itself() -> None:
    table = tables()["requests"]
    file = io.BytesIO()
    encoded([table], "parquet", file, {"model": "demo", "started_at": "2026-01-01T00:00:00Z"})
    told = pl.read_parquet_metadata(io.BytesIO(file.getvalue()))
    assert (told["model"], told["started_at"]) == ("demo", "2026-01-01T00:00:00Z")
    columns = {one["name"]: one["numpy_type"] for one in json.loads(told["pandas"])["columns"]}
    assert columns["output_tokens"] == "Int64" and columns["warmup"] == "boolean"
    assert "state" not in columns and "ttft_s" not in columns
    assert "ARROW:schema" not in told, "for one without metadata pyarrow would pass over these"
    back = pl.read_parquet(io.BytesIO(file.getvalue()))
    assert back.equals(table) and back.schema == table.schema
