"""A file of prompts: every form of a line, and what is said of a bad one."""

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.errors import InputError
from llamatop.settings import prompt_file
from llamatop.settings.messages import Message
from llamatop.settings.prompt_file import read_file, read_prompts
from llamatop.settings.prompt_lines import FilePrompt


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


DATA = Path(__file__).parents[1] / "data" / "prompts"
RIVERS = "Name three rivers."


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("bom.jsonl", [RIVERS, "Wie heißt die Hauptstadt von Österreich?"]),
        ("bom-crlf-blank.jsonl", [RIVERS, "Wie heißt die Hauptstadt von Österreich?"]),
        ("array.json", ["one", "two"]),
        ("one-line-array.jsonl", ["one", "two"]),
        ("sharegpt.json", [RIVERS]),
        ("openai-batch.jsonl", ["Count to 3.", "Count to 4."]),
        ("evalscope-multiturn.jsonl", [f"Hello\nHi!\n{RIVERS}", "Count to three."]),
    ],
)
def test_files_as_people_have_them(name: str, texts: list[str]) -> None:
    assert [prompt.text for prompt in read_prompts(str(DATA / name))] == texts


def test_what_an_empty_conversation_is_is_told() -> None:
    assert read_file(str(DATA / "sharegpt.json")).left_out == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "x"}', encoding=encoding)
    with pytest.raises(InputError, match=encoding[:6].upper()):
        read_prompts(str(path))
    with pytest.raises(InputError, match="UTF-16"):
        read_prompts(str(DATA / "utf16-powershell.jsonl"))


def test_a_turn_that_only_calls_keeps_its_calls() -> None:
    first, second = read_prompts(str(DATA / "tool-calls.jsonl"))
    for prompt in (first, second):
        assert prompt.messages[1].content is None
        assert prompt.messages[1].sent["tool_calls"][0]["function"]["name"] == "get_weather"
        assert (
            prompt.messages[2].sent["tool_call_id"]
            == prompt.messages[1].sent["tool_calls"][0]["id"]
        )
        assert "get_weather" in prompt.text, "without a template too"


@pytest.mark.parametrize(
    "line",
    [
        {"prompt": None, "messages": [{"role": "user", "content": "x"}], "output_tokens": 8.0},
        {"prompt": "x", "max_tokens": 8, "logprob": float("nan")},
        {"prompt": ["x"], "max_tokens": 8, "score": float("-inf")},
        {"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}],
         "max_tokens": 8},
        {"custom_id": "1", "method": "POST", "url": "/v1/completions",
         "body": {"model": "m", "prompt": "x", "max_completion_tokens": 8}},
        {"custom_id": "1", "body": {"messages": [{"role": "user", "content": "x"}],
                                    "max_tokens": 8}},
    ],
)  # fmt: skip
def test_lines_out_of_logs(tmp_path: Path, line: object) -> None:
    pretty = tmp_path / "pretty.json"
    pretty.write_text("\ufeff" + json.dumps([line, line], indent=1))
    for path in (file_of(tmp_path, json.dumps(line)), str(pretty)):
        for prompt in read_prompts(path):
            assert (prompt.text, prompt.output_tokens) == ("x", 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[\n{"prompt": "one"},\n{"prompt": 2}\n]', 'item 2: "prompt" must be a string'),
        ('[["a"], ["b"]]', "item 1: give a string"),
        ('["a", "b"]\n["c"]', "line 1: give a string"),
        ('[\n{"prompt": "one"},', "line 1: "),
        ('{"prompt": "x", "max_tokens": NaN}', '"max_tokens" must be a whole number'),
        ('{"prompt": "x", "timestamp": 1}\n{"prompt": "x"}', 'line 2: it has no "timestamp"'),
        ('{"messages": [{"role": "assistant", "content": null}]}', '"content" of a message'),
        ('{"input_length": 512, "hash_ids": [1, 2]}', "more than 512 tokens"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = file_of(tmp_path, text)
    with pytest.raises(InputError) as refusal:
        read_prompts(path)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_device_is_refused_and_a_pipe_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--prompts /dev/zero: is a device, not a file"):
        read_prompts("/dev/zero")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=('{"prompt": "one"}',), daemon=True).start()
    assert [one.text for one in read_prompts(str(pipe))] == ["one"]


def test_a_file_without_end_is_read_with_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_file, "LARGEST", 16)
    with pytest.raises(InputError, match="larger than"):
        read_prompts(file_of(tmp_path, '"a text that is longer than that"'))
