"""Every reader of what others wrote: what it reads in its tests, and how it is asked.

A reader returns, or raises the error that is its clean one; anything else is a find.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from llamatop.engines.server.answers import Answer, EventError
from llamatop.engines.server.sse import EventStream, TooLongError
from llamatop.errors import InputError
from llamatop.events.kinds import KINDS
from llamatop.events.sanitize import one_line
from llamatop.imports.events import events_of
from llamatop.imports.recognise import read as read_result
from llamatop.imports.told import Run
from llamatop.recording.parquet import write_table
from llamatop.recording.reader import fold_recording
from llamatop.recording.schema import SCHEMA_VERSION, table_of
from llamatop.recording.whole import write_whole
from llamatop.reports.run_text import table
from llamatop.reports.summary import summary
from llamatop.settings.prompt_file import read_prompts
from llamatop.tui.drawing.themes import ThemeError, load_theme
from llamatop.watch.page import PageError, Pages
from tests.fuzz.mutate import mutated
from tests.recording import runs
from tests.servers import samples

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
LARGEST = 64 << 10
"""Bytes of a file that is worth changing: what is wrong shows in small ones too."""

Clean = (InputError, ThemeError, PageError, EventError, TooLongError)
"""What a reader may raise."""


class Reader(NamedTuple):
    """`changed` gives a file that is nearly right, `read` reads it in an empty folder."""

    changed: Callable[[random.Random], tuple[str, bytes]]
    read: Callable[[Path], object]


def told(path: Path) -> None:
    """All that is said of a recording, with no figure that is none."""
    session = fold_recording(path).session
    json.dumps(summary(session, str(path)), allow_nan=False)
    table(session)


def imported(path: Path) -> None:
    """A result file, taken whole."""
    for place, (_, found) in enumerate(read_result(path, keep_text=True)):
        if isinstance(found, Run):
            out = path.with_name(f"out-{place}.parquet")
            write_whole(out, *events_of(found, keep_text=True))
            told(out)


def page(path: Path) -> None:
    """A metrics page, twice, after a good one."""
    pages = Pages()
    for text in (good_page(), path.read_text("utf-8", "replace")):
        pages.read(text)
    pages.read(path.read_text("utf-8", "replace"))


def stream(path: Path) -> None:
    """A server's stream, cut as its reads happen to be."""
    data, dice = path.read_bytes(), random.Random(path.stat().st_size)
    events, answer, at = EventStream(), Answer(), 0
    while at < len(data):
        step = dice.randint(1, 700)
        for event in events.feed(data[at : at + step]):
            answer.take(event)
            answer.flush()
        at += step
    for event in events.end():
        answer.take(event)


def theme(path: Path) -> None:
    """A theme file."""
    load_theme(path)


def prompts(path: Path) -> None:
    """A file of prompts."""
    read_prompts(str(path))


@cache
def good_page() -> str:
    return samples.body("vllm-0.32.0.metrics-fresh").decode()


@cache
def files(folder: str, *patterns: str) -> tuple[tuple[str, bytes], ...]:
    """Small files of a folder, by name."""
    found = [path for pattern in patterns for path in sorted((ROOT / folder).glob(pattern))]
    kept = [(p.name, p.read_bytes()) for p in found if p.is_file()]
    return tuple((name, data) for name, data in kept if 0 < len(data) <= LARGEST)


def one_of(folder: str, *patterns: str) -> Callable[[random.Random], tuple[str, bytes]]:
    def changed(dice: random.Random) -> tuple[str, bytes]:
        name, data = dice.choice(files(folder, *patterns))
        return name, mutated(data, dice)

    return changed


@cache
def bodies(*kinds: str) -> tuple[bytes, ...]:
    """What servers answered, those whose names hold one of `kinds`, or all streams."""
    paths = sorted((DATA / "servers").glob("*.http"))
    names = [p.name.removesuffix(".http") for p in paths if any(k in p.name for k in kinds)]
    return tuple(samples.body(name) for name in (names if kinds else samples.names()))


def answered(*kinds: str) -> Callable[[random.Random], tuple[str, bytes]]:
    return lambda dice: ("body", mutated(dice.choice(bodies(*kinds))[:LARGEST], dice))


ABSURD = (-1, 0, 1, -(2**63), 2**63 - 1, 10**18, 2**31 - 1, -(2**31), 4_000_000_000)
SMALL = range(-(2**31), 2**31)
"""What a column of 32 bits holds."""
FIELDS = (-1, 0, 2**63 - 1, -(2**63), 10**30, 1e308, -1e308, None, True, "x", "\ud800", "\x1b[2J",
          [], {}, [1] * 50, math.pi)  # fmt: skip


@cache
def columns() -> pl.Schema:
    return table_of(runs.run(), keep_text=True).schema


@cache
def rows() -> list[dict[str, Any]]:
    return table_of(runs.run(), keep_text=True).to_dicts()


def sealed(dice: random.Random) -> pl.DataFrame:
    """The table of a real run with some of its numbers made absurd, its checksum right."""
    told_rows, schema = [dict(row) for row in rows()], columns()
    for _ in range(dice.randint(1, 8)):
        row = dice.choice(told_rows)
        what = dice.choice([*row, "order", "payload", "payload"])
        if what == "order":
            dice.shuffle(told_rows)
        elif what == "kind":
            row["kind"] = dice.choice([*KINDS, "Unheard", ""])
        elif what == "payload" and row.get("payload"):
            row["payload"] = odd_payload(row["payload"], dice)
        elif isinstance(row.get(what), int):
            row[what] = dice.choice([n for n in ABSURD if schema[what] == pl.Int64 or n in SMALL])
    return pl.DataFrame(told_rows, schema=schema)


def odd_payload(payload: Any, dice: random.Random) -> Any:
    text = payload if isinstance(payload, str) else payload.decode()
    fields = json.loads(text)
    if isinstance(fields, dict) and fields:
        fields[dice.choice([*fields])] = dice.choice(FIELDS)
    changed = json.dumps(fields)
    return changed if isinstance(payload, str) else changed.encode()


def absurd_parquet(dice: random.Random) -> tuple[str, bytes]:
    file = BytesIO()
    write_table(file, [sealed(dice)], {"schema": str(SCHEMA_VERSION)})
    return "absurd.parquet", file.getvalue()


@cache
def journals() -> tuple[bytes, ...]:
    """Of the first code that wrote any, and one that is damaged."""
    found = [*(DATA / "released").rglob("*.journal"), *(DATA / "recordings").glob("*.journal")]
    return tuple(path.read_bytes() for path in sorted(found))


READERS: dict[str, Reader] = {
    "recording": Reader(one_of("tests/data", "released/*/*.parquet", "recordings/*.parquet"), told),
    "sealed recording": Reader(absurd_parquet, told),
    "journal": Reader(
        lambda dice: ("a.parquet.journal", mutated(dice.choice(journals()), dice)), told
    ),
    "theme": Reader(one_of("themes", "*.toml"), theme),
    "prompts": Reader(one_of("tests/data/prompts", "*"), prompts),
    "results": Reader(one_of("tests/data/peer-results", "*/*", "*/*/*"), imported),
    "metrics": Reader(answered("metrics"), page),
    "stream": Reader(answered(), stream),
}
"""By name."""


def attempt(reader: Reader, dice: random.Random, folder: Path) -> str:
    """Read one changed file: `answer` or `refusal`; whatever else is raised is a find."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name, data = reader.changed(dice)
    path = folder / name
    path.write_bytes(data)
    return tried(reader, path)


def tried(reader: Reader, path: Path) -> str:
    """The same of a file that is there."""
    try:
        reader.read(path)
    except Clean as refusal:
        said = str(refusal)
        assert said == one_line(said), said[:300]
        assert len(said) < 2000, said[:300]
        return "refusal"
    return "answer"
