"""Every type that generates text: what `check` says of a small one, against the real model.

Parameters against the model that transformers makes, cache per token against the growth of a real
forward's. `python -m tests.predict.sweep` says the same and keeps what became of each type.
"""

import json

import pytest
import transformers

from tests.predict.sweep.__main__ import KNOWN
from tests.predict.sweep.outcome import is_line, outcome, sweep
from tests.predict.sweep.small import types

FINE = {"right", "unknown", "refused", "untested"}
LEAST_RIGHT = 240


def test_no_line_ends_in_a_name_of_python() -> None:
    assert is_line("--model M: it does not generate text; use a decoder such as Llama")
    assert not is_line("--model M: its memory cannot be foretold: StopIteration: ")
    assert not is_line("--model M: TypeError")


def test_the_types_are_those_that_were_swept() -> None:
    """Where transformers is another, this names what is new to it and what is gone."""
    known = json.loads(KNOWN.read_text())
    here = set(types())
    new, gone = sorted(here - set(known["types"])), sorted(set(known["types"]) - here)
    assert (new, gone) == ([], []), (
        f"transformers {transformers.__version__} has other types than {known['transformers']}: "
        f"new {new}, gone {gone}; run python -m tests.predict.sweep"
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_type_is_right_or_says_why_not() -> None:
    became = {row["type"]: outcome(row) for row in sweep(sorted(types()))}
    assert {kind: told for kind, told in became.items() if told not in FINE} == {}
    assert sum(told == "right" for told in became.values()) >= LEAST_RIGHT
    before = json.loads(KNOWN.read_text())["types"]
    lost = {kind for kind, told in became.items() if before[kind] == "right" != told}
    assert not lost
