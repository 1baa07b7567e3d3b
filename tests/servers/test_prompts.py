"""What requests ask a server: of the length wanted, no two alike; and what a file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamatop.catalog import demo_folder
from llamatop.engines.base import Job
from llamatop.engines.server.bodies import Chat
from llamatop.engines.server.prompts import (
    TOKENS_PER_CHARACTER,
    Ahead,
    MeasuredText,
    Prompter,
    TokenizedText,
    corpus,
    given_sizes,
    load_tokenizer,
)
from llamatop.errors import InputError
from llamatop.settings.messages import Message
from llamatop.settings.prompt_lines import FilePrompt


@pytest.fixture(scope="module")
def tokenized() -> TokenizedText:
    return TokenizedText(load_tokenizer(str(demo_folder())), seed=0, added=3)


@pytest.mark.parametrize("tokens", [4, 16, 100])
def test_with_a_tokenizer_a_prompt_has_the_tokens_asked_for(
    tokenized: TokenizedText, tokens: int
) -> None:
    """Those that the server puts around it among them."""
    made = [tokenized.prompt(request, tokens) for request in range(8)]
    assert [tokenized.count(text) for text in made] == [tokens - 3] * 8
    assert len({text[:20] for text in made}) > 4
    assert made[0] == tokenized.prompt(0, tokens), "a request has its prompt"


def test_without_one_it_has_about_the_tokens_that_the_server_counts() -> None:
    """Of a server that puts 10 tokens around a prompt, and makes one of four characters."""

    def counted(text: str) -> int:
        return 10 + round(len(text) / 4)

    measured = MeasuredText(seed=0)
    few, many = measured.text(0, 100), measured.text(1, 4000)
    measured.learn((few, counted(few)), (many, counted(many)))
    for tokens in (50, 500):
        assert counted(measured.prompt(2, tokens)) == pytest.approx(tokens, abs=5)
    assert len({measured.prompt(request, 50).split()[0] for request in range(8)}) == 8


def test_two_counts_that_tell_nothing_change_nothing() -> None:
    measured = MeasuredText(seed=0)
    before = measured.prompt(0, 30)
    measured.learn(("a longer text", 9), ("short", 3))
    measured.learn(("short", 9), ("a longer text", 9))
    assert measured.prompt(0, 30) == before


def test_what_is_made_ahead_is_what_would_be_made(tokenized: TokenizedText) -> None:
    ahead = Ahead(tokenized)
    ahead.expect(5, 16)
    ahead.expect(5, 16)
    assert ahead.prompt(5, 16) == ahead.prompt(5, 16) == tokenized.prompt(5, 16)
    ahead.expect(6, 16)
    assert ahead.prompt(6, 20) == tokenized.prompt(6, 20), "it was asked for another length"


def test_a_conversation_is_sent_as_turns_to_chat_and_as_text_elsewhere() -> None:
    turns = (Message("system", "Be brief."), Message("user", "Why?"))
    given = [FilePrompt(1, "Be brief.\nWhy?", turns, 5), FilePrompt(2, "Plain")]
    one, other = (Job(number, 9, 9, given=number) for number in range(2))
    chat = Prompter(MeasuredText(0), given, "chat")
    assert chat.of(one) == Chat(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    )
    assert chat.of(other) == [{"role": "user", "content": "Plain"}]
    text = Prompter(MeasuredText(0), given, "completions")
    assert [text.of(job) for job in (one, other)] == ["Be brief.\nWhy?", "Plain"]
    (made,) = chat.of(Job(2, 9, 9))
    assert made == {"role": "user", "content": MeasuredText(0).prompt(2, 9)}


def test_sizes_of_a_file_are_counted_or_estimated() -> None:
    given = [FilePrompt(1, "x" * 100, output_tokens=7), FilePrompt(2, "x")]
    sizes = given_sizes(given, None, False)
    assert [size[:2] for size in sizes] == [(round(100 * TOKENS_PER_CHARACTER), 7), (1, None)]
    tokenizer = load_tokenizer(str(demo_folder() / "tokenizer.json"))
    tokens, out = given_sizes([FilePrompt(1, corpus()[:500]), *given], tokenizer, False)[0][:2]
    assert (tokens, out) == (len(tokenizer.encode(corpus()[:500]).ids), None)


def test_a_tokenizer_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}\n")
    with pytest.raises(InputError, match=r"^--tokenizer .*: cannot be loaded: ") as told:
        load_tokenizer(str(tmp_path))
    assert "\n" not in str(told.value)
