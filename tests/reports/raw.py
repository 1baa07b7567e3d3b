"""A recording opened as a notebook would: with plain polars, and nothing of llamatop's."""

from __future__ import annotations

from pathlib import Path

import polars as pl

RECORDINGS = Path(__file__).parents[2] / "recordings"
SAMPLES = sorted(RECORDINGS.glob("samples/*.parquet"))


def events_of(path: Path) -> pl.DataFrame:
    """The table as it is, with the number of its row."""
    return pl.read_parquet(path).with_row_index("row")


def field(name: str, kind: type[pl.DataType] = pl.Int64) -> pl.Expr:
    """A field of the payload."""
    return pl.col("payload").str.json_path_match(f"$.{name}").cast(kind).alias(name)


def of_kind(events: pl.DataFrame, *kinds: str) -> pl.DataFrame:
    return events.filter(pl.col("kind").is_in(kinds))


def requests_of(path: Path) -> pl.DataFrame:
    """A row a measured request: its times (ns), its tokens, and how it ended.

    A request whose engine was lost failed then; what came after its end does not count.
    """
    events = events_of(path)
    queued = of_kind(events, "RequestQueued").select(
        "request", queued=pl.col("time_ns"), prompt=field("prompt_tokens"),
        warmup=pl.col("payload").str.contains('"warmup":true'),
    )  # fmt: skip
    admitted = of_kind(events, "RequestAdmitted").select(
        "request", field("level"), admitted=pl.col("time_ns")
    )
    ends = of_kind(events, "RequestFinished", "RequestFailed", "RequestCancelled")
    lost = of_kind(events, "EngineLost").select(lost_row="row", lost="time_ns")
    ended = ends.group_by("request").agg(
        pl.col("row").first().alias("end_row"), pl.col("time_ns").first().alias("ended"),
        pl.col("kind").first().alias("end"),
    )  # fmt: skip
    known = queued.join(admitted, "request", how="left").join(ended, "request", how="left")
    for row, time in lost.iter_rows():
        died = pl.col("end").is_null() & (pl.col("queued") <= time)
        known = known.with_columns(
            pl.when(died).then(pl.lit("EngineLost")).otherwise("end").alias("end"),
            pl.when(died).then(pl.lit(row, pl.UInt32)).otherwise("end_row").alias("end_row"),
            pl.when(died).then(pl.lit(time)).otherwise("ended").alias("ended"),
        )
    tokens = emissions_of(events, known).group_by("request").agg(
        pl.col("time_ns").min().alias("first"), pl.col("time_ns").max().alias("last"),
        pl.col("count").sum().cast(pl.Int64).alias("tokens"),
    )  # fmt: skip
    return (
        known.join(tokens, "request", how="left")
        .filter(~pl.col("warmup"))
        .with_columns(pl.col("tokens").fill_null(0), done=pl.col("end") == "RequestFinished")
        .sort("request")
    )


def emissions_of(events: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """Every emission of a request before its end."""
    return (
        of_kind(events, "TokensEmitted")
        .select("row", "time_ns", "request", "count")
        .join(requests.select("request", "end_row"), "request")
        .filter(pl.col("end_row").is_null() | (pl.col("row") < pl.col("end_row")))
    )


def gaps_of(path: Path) -> pl.DataFrame:
    """A row a gap between two tokens of a measured request that is complete: `level`, `gap` (s).

    `chunk_gap` is the whole gap before an emission, on the row of its first token only.
    """
    requests = requests_of(path)
    emitted = emissions_of(events_of(path), requests).sort("row")
    each = emitted.with_columns(
        chunk_gap=pl.col("time_ns").diff().over("request") / 1e9
    ).drop_nulls("chunk_gap")
    each = each.with_columns(gap=pl.col("chunk_gap") / pl.col("count"))
    done = requests.filter("done").select("request", "level")
    one_each = each.join(done, "request").with_columns(pl.col("count").alias("times"))
    return one_each.select("level", "chunk_gap", "gap", "times")


def levels_of(path: Path) -> list[dict[str, int]]:
    """Number and concurrency of each level, in order."""
    started = of_kind(events_of(path), "LevelStarted")
    return started.select(field("level"), field("concurrency")).to_dicts()
