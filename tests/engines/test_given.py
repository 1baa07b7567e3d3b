"""A file's prompts as the bundled model's tokenizer makes them ids."""

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from llamatop.catalog import demo_folder
from llamatop.engines.given import given_prompts
from llamatop.engines.prompts import Given
from llamatop.engines.resolve import Source, resolve
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig
from llamatop.settings.lengths import Lengths
from tests.engines.conftest import silent


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(demo_folder() / "tokenizer.json"))


def source() -> Source:
    return resolve(RunConfig(), silent)


def asked(folder: Path, *lines: str, **config: object) -> RunConfig:
    path = folder / "p.jsonl"
    path.write_text("\n".join(lines))
    return RunConfig(prompts=str(path), **config)  # type: ignore[arg-type]


def test_none_without_a_file(tokenizer: Tokenizer) -> None:
    assert given_prompts(RunConfig(), source(), tokenizer) == []


def test_text_as_the_tokenizer_makes_it(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = asked(tmp_path, '"Once upon a time"', '{"prompt": "Why?", "output_tokens": 3}')
    assert given_prompts(config, source(), tokenizer) == [
        Given(tokenizer.encode("Once upon a time").ids, None),
        Given(tokenizer.encode("Why?").ids, 3),
    ]


def test_a_tokenizer_that_would_cut_does_not(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.enable_truncation(4)
    (given,) = given_prompts(asked(tmp_path, '"one two three four five"'), source(), tokenizer)
    assert len(given.ids) > 4


def test_a_conversation_by_the_chat_template(tmp_path: Path, tokenizer: Tokenizer) -> None:
    config = asked(tmp_path, '{"messages": [{"role": "user", "content": "Why?"}]}')
    (given,) = given_prompts(config, source(), tokenizer)
    assert tokenizer.token_to_id("<|user|>") in given.ids
    assert given.ids[-1] != tokenizer.encode("Why?").ids[-1], "the answer's turn has begun"


def test_a_conversation_without_a_template_is_its_text(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    bare = Source("bare", {}, tmp_path)
    config = asked(tmp_path, '{"messages": [{"role": "user", "content": "Why?"}]}')
    assert given_prompts(config, bare, tokenizer)[0].ids == tokenizer.encode("Why?").ids


def test_what_does_not_fit_is_told_by_its_line(tmp_path: Path, tokenizer: Tokenizer) -> None:
    lines = ('"short"', '{"prompt": "short", "output_tokens": 100000}')
    with pytest.raises(InputError, match=r"line 2: .* takes at most"):
        given_prompts(asked(tmp_path, *lines), source(), tokenizer)


def test_a_line_is_not_measured_by_another_lines_output(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    long = "word " * 300
    config = asked(
        tmp_path, f'"{long}"', '{"prompt": "short", "output_tokens": 2000}',
        gen_toks=2000, gen_lengths=Lengths("uniform", 8, 8),
    )  # fmt: skip
    assert len(given_prompts(config, source(), tokenizer)) == 2


def test_without_a_tokenizer_there_are_no_tokens(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tokenizer"):
        given_prompts(asked(tmp_path, '"x"'), source(), None)


TOOLS = '[{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]'
TEMPLATE = (
    "{% for tool in tools or [] %}<tool>{{ tool.function.name }}{% endfor %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}"
    "<call>{{ c.function.name }}|{{ c.function.arguments.city }}{% endfor %}{% endfor %}"
)
CALLS = Path(__file__).parents[1] / "data" / "prompts" / "tool-calls.jsonl"


def test_calls_and_tools_reach_the_template(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(demo_folder() / name, tmp_path / name)
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    line = CALLS.read_text().splitlines()[0]
    config = asked(tmp_path, line[:-1] + f', "tools": {TOOLS}}}')
    (given,) = given_prompts(config, Source("own", {}, tmp_path), tokenizer)
    text = tokenizer.decode(given.ids, skip_special_tokens=False)
    assert text.startswith("<tool>get_weather<user>What is the weather in Graz?<assistant><call>")
    assert "<call>get_weather|Graz<tool>12 degrees" in text, "no None, and arguments as an object"


def test_calls_that_a_template_passes_over_stand_in_their_turn(tokenizer: Tokenizer) -> None:
    for given in given_prompts(RunConfig(prompts=str(CALLS)), source(), tokenizer):
        assert "get_weather" in tokenizer.decode(given.ids)
