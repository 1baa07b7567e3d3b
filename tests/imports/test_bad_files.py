"""Files that are cut, empty, foreign or changed: one line, and never anything else."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamatop.cli import main
from llamatop.errors import InputError
from llamatop.imports.events import events_of
from llamatop.imports.recognise import read
from llamatop.imports.told import Run
from llamatop.recording.whole import write_whole
from tests.imports.peers import FOLDER, name

SMALL = [
    path
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in (".json", ".jsonl", ".txt", ".yaml")
    and path.stat().st_size < 60_000
    and path.parent.name != "mock-truth"
]
VALUES = [
    b"null", b"-1", b"0", b"1e300", b"-1e300", b"9223372036854775808", b"1e999", b"NaN", b"[]",
    b"{}", b'""', b'"x"', b"[" * 5000, b"true", b"123456789012345678901234567890",
]  # fmt: skip
MUTATIONS = 3


def test_files_of_one_name_and_a_bad_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder's name is often that of another tool's: none is refused, and none replaced."""
    same = [
        str(FOLDER / one)
        for one in ("vllm-bench-serve-0.32.0/mock-error-event.json",
                    "guidellm-0.8.1/mock-error-event.json")
    ]  # fmt: skip
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert main(["import", same[0], str(bad), same[1], "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    made = ["mock-error-event.parquet", "mock-error-event.2.parquet"]
    assert [Path(line).name for line in out.splitlines()] == made
    assert sum(f"llamatop: {bad}: " in line for line in err.splitlines()) == 1


def changed(data: bytes, seed: int) -> Iterator[bytes]:
    """Numbers, texts and brackets replaced, bytes flipped, pieces doubled and left out."""
    dice = random.Random(seed)
    spots = [found.span() for found in re.finditer(rb'-?\d+(?:\.\d+)?|"[^"\n]*"|[\[{]', data)]
    for _ in range(MUTATIONS):
        begin, end = dice.choice(spots) if spots else (0, 0)
        yield data[:begin] + dice.choice(VALUES) + data[end:]
        at = dice.randrange(len(data))
        yield data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        other = dice.randrange(len(data))
        yield data[: max(at, other)] + data[min(at, other) :]
        yield data[:at]


def taken(path: Path, out: Path) -> None:
    """Import a file whole, or be told why not in one line."""
    try:
        for _, found in read(path, keep_text=True):
            if isinstance(found, Run):
                write_whole(out, *events_of(found, keep_text=True))
    except InputError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    finally:
        out.unlink(missing_ok=True)


@pytest.mark.parametrize("path", SMALL, ids=name)
def test_a_changed_file_is_taken_or_refused_in_one_line(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(path.parent, folder)
    data = path.read_bytes()
    for mutated in changed(data, len(data)):
        (folder / path.name).write_bytes(mutated)
        taken(folder / path.name, tmp_path / "out.parquet")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hello", "not a result file of vllm bench"),
        (b"PAR1\x00\x01", "not a result file"),
        (b'{"a": 1}', "of none of these"),
        (b'{"start_times": [1.0, ', "cut off"),
        (b"[" * 100_000, "cut off"),
        (b':::MLLOG {"key": "x"}\n', "import its trace or its summary"),
        (b'{"model_id": "m", "request_throughput": 1.0}', "without --save-detailed"),
    ],
)
def test_what_is_no_result_file_gets_one_line(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    assert main(["import", str(path), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


def test_a_folder_without_results_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no result file"):
        read(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.json")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(FOLDER / "vllm-bench-serve-0.32.0" / "mock-error-event.json")
    assert main(["import", path, "--out", str(tmp_path)]) == 0
    assert main(["import", path, "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
