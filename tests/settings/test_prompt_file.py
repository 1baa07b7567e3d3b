"""A file of prompts: every form of a line, and what is said of a bad one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.errors import InputError
from llamatop.settings.prompt_file import FilePrompt, Message, read_prompts


def file_of(folder: Path, *lines: str | bytes) -> str:
    path = folder / "prompts.jsonl"
    path.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    )
    return str(path)


def test_every_form_of_a_line(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        '{"prompt": "one", "output_tokens": 5}',
        '{"text": "two", "max_tokens": 6, "other": [1]}',
        "",
        '"three"',
        '{"messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "brief"}]}',
        '{"messages": [{"role": "user", "content": [{"type": "text", "text": "parts"}]}],'
        ' "max_completion_tokens": 7}\r',
    )
    assert read_prompts(path) == [
        FilePrompt(1, "one", output_tokens=5),
        FilePrompt(2, "two", output_tokens=6),
        FilePrompt(4, "three"),
        FilePrompt(5, "be\nbrief", (Message("system", "be"), Message("user", "brief"))),
        FilePrompt(6, "parts", (Message("user", "parts"),), 7),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "truncated"),
        ("5", "give a string"),
        ("{}", 'no "prompt"'),
        ('{"prompt": 5}', '"prompt" must be a string'),
        ('""', "empty"),
        ('{"messages": []}', '"messages" must be'),
        ('{"messages": [{"content": "x"}]}', '"role"'),
        ('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', 'type "text"'),
        ('{"prompt": "x", "output_tokens": 0}', '"output_tokens"'),
        ('{"prompt": "x", "max_tokens": true}', '"max_tokens"'),
        ('{"prompt": "x", "max_tokens": 2.5}', '"max_tokens"'),
        (b'"\xff"', "line 2"),
        ("[" * 100_000, "line 2"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str | bytes, said: str) -> None:
    path = file_of(tmp_path, '"fine"', line)
    with pytest.raises(InputError) as refusal:
        read_prompts(path)
    told = str(refusal.value)
    assert told.startswith(f"--prompts {path}, line 2: ") and said in told
    assert "\n" not in told


def test_no_file_and_no_prompts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no prompts"):
        read_prompts(file_of(tmp_path, "", "  "))


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = file_of(tmp_path_factory.mktemp("any"), *lines)
    try:
        assert read_prompts(path)
    except InputError as refusal:
        assert "\n" not in str(refusal)
