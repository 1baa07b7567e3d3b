"""One reader, led by coverage to inputs of its own: `pip install atheris`, where that installs.

    python -m tests.fuzz.guided stream -max_total_time=60 corpus/

What comes after the reader's name is libFuzzer's. The first folder gathers what led somewhere new;
without any, it begins from nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["llamatop"]):
    from tests.fuzz.readers import READERS, tried

NAMES = {"journal": "a.parquet.journal", "theme": "a.toml", "results": "a.json"}
"""Of files that are known by theirs; `a.parquet` and the like are recordings."""


def main() -> None:
    """Until its options say that it is enough, or something is found."""
    name, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAMES.get(name, "a.parquet")

        def one(data: bytes) -> None:
            for old in path.parent.iterdir():
                old.unlink()
            path.write_bytes(data)
            tried(READERS[name], path)

        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
