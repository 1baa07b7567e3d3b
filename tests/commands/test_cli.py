"""What the command line does with what a terminal cannot spell."""

from __future__ import annotations

import io
import sys

import pytest

from llamatop.cli import _refuse_empty, _settle_streams
from llamatop.errors import InputError
from llamatop.text.formatting import MINUS


def test_a_number_keeps_its_sign_and_unit_where_the_terminal_knows_no_more_than_ascii(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", None)
    _settle_streams()
    sys.stdout.write(f"{MINUS}47.3 % of 850 µs ± 1 ∞\n")
    sys.stdout.flush()
    assert written.getvalue() == b"-47.3 % of 850 us ~ 1 ?\n"


def test_a_value_that_ends_like_an_empty_one_is_none() -> None:
    _refuse_empty(["--model=./a=", "--out", "b=.parquet", "replay", "c="])
    for arguments, option in ((["--model="], "--model"), (["--out", ""], "--out")):
        with pytest.raises(InputError, match=f"^{option}: an empty value"):
            _refuse_empty(arguments)
