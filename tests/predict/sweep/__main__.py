"""`python -m tests.predict.sweep [TYPE ...]`: what became of each type, and the docs' table."""

import json
import sys
from pathlib import Path

import transformers

from tests.predict.sweep.outcome import outcome, sweep, table
from tests.predict.sweep.small import types

KNOWN = Path(__file__).with_name("known.json")


def main(kinds: list[str]) -> None:
    rows = sweep(kinds or sorted(types()))
    for row in rows:
        if (became := outcome(row)) != "right":
            detail = row.get("refused") or row.get("unknown") or row.get("note")
            sys.stdout.write(f"{row['type']}: {became} | {detail} | {row.get('note', '')}\n")
    sys.stdout.write(f"\n{table(rows, transformers.__version__)}\n")
    if not kinds:
        became = {row["type"]: outcome(row) for row in rows}
        known = {"transformers": transformers.__version__, "types": became}
        KNOWN.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
