"""Text comes out whole, whatever the tokens cut."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from llamatop.catalog import demo_folder
from llamatop.engines.detokenize import PENDING, Numbers, Text


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(demo_folder() / "tokenizer.json"))


@pytest.mark.parametrize("text", ["def f(x):\n    return x", "naïve café — 你好, 🦙🦙!", " a  b"])
def test_the_pieces_make_the_text(tokenizer: Tokenizer, text: str) -> None:
    decoder = Text(tokenizer)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    pieces = [decoder.feed(1, [id]) for id in ids]
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)


def test_a_character_waits_until_it_is_whole(tokenizer: Tokenizer) -> None:
    decoder = Text(tokenizer)
    ids = tokenizer.encode("🦙", add_special_tokens=False).ids
    assert len(ids) > 1
    assert [decoder.feed(1, [id]) for id in ids] == [""] * (len(ids) - 1) + ["🦙"]


def test_half_characters_do_not_pile_up(tokenizer: Tokenizer) -> None:
    decoder = Text(tokenizer)
    half = tokenizer.encode("🦙", add_special_tokens=False).ids[0]
    pieces = [decoder.feed(1, [half]) for _ in range(4 * PENDING)]
    assert "\ufffd" in "".join(pieces[:PENDING])
    assert decoder.feed(1, tokenizer.encode("fine", add_special_tokens=False).ids).endswith("fine")


def test_requests_do_not_mix(tokenizer: Tokenizer) -> None:
    decoder = Text(tokenizer)
    llama = tokenizer.encode("🦙", add_special_tokens=False).ids
    plain = tokenizer.encode("x", add_special_tokens=False).ids
    told = {1: "", 2: ""}
    for id in llama:
        told[1] += decoder.feed(1, [id])
        told[2] += decoder.feed(2, plain)
    assert told == {1: "🦙", 2: "x" * len(llama)}


def test_special_tokens_are_not_shown(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("hello").ids
    assert len(ids) > len(tokenizer.encode("hello", add_special_tokens=False).ids)
    assert Text(tokenizer).feed(1, ids) == "hello"


def test_nothing_is_kept_of_requests_that_ended(tokenizer: Tokenizer) -> None:
    decoder = Text(tokenizer)
    for request in range(1000):
        decoder.feed(request, [100, 101])
        decoder.end(request)
    decoder.end(5000)
    assert not decoder._streams


def test_without_a_tokenizer_ids_are_shown() -> None:
    numbers = Numbers()
    assert numbers.feed(1, [12, 3456]) == "·12 ·3456 "
    numbers.end(1)
