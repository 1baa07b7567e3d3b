"""The servers of the tests are what tests take them for."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
import torch
import transformers

from llamatop.catalog import demo_folder
from llamatop.engines.gguf_demo import demo_gguf
from llamatop.engines.tokenizer import chat_of, load_tokenizer
from llamatop.errors import InputError
from tests.servers import running
from tests.servers.running import Server
from tests.servers.scripted_client import Scripted
from tests.waiting import gone, until

PROMPTS = ("def add(a, b):\n    ", "The standard library is", "It's 2026 — naïve café's\t\n  x")


@pytest.fixture(scope="module")
def transformers_text() -> dict[str, tuple[list[int], list[int]]]:
    """Of each prompt: its tokens, and the 48 that transformers writes greedily."""
    tokenizer = load_tokenizer(demo_folder())
    assert tokenizer is not None
    model = transformers.AutoModelForCausalLM.from_pretrained(demo_folder(), dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for one another without sleeping
    written = {}
    for prompt in PROMPTS:
        prompt_ids = tokenizer.encode(prompt).ids
        ids = list(prompt_ids)
        while len(ids) < len(prompt_ids) + 48:
            with torch.inference_mode():
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        written[prompt] = prompt_ids, ids[len(prompt_ids) :]
    torch.set_num_threads(threads)
    return written


@pytest.mark.parametrize("prompt", PROMPTS)
def test_llama_cpp_writes_what_transformers_writes(
    prompt: str, llamacpp: Server, transformers_text: dict[str, tuple[list[int], list[int]]]
) -> None:
    ids, written = transformers_text[prompt]
    asked = {"prompt": prompt, "n_predict": 48, "temperature": 0, "ignore_eos": True}
    answer = llamacpp.post("/completion", asked | {"return_tokens": True})
    tokenized = llamacpp.post("/tokenize", {"content": prompt, "add_special": True})
    assert tokenized["tokens"] == ids
    assert answer["tokens"] == written


def test_llama_cpp_takes_the_chat_template_of_the_folder(llamacpp: Server) -> None:
    messages = [{"role": "user", "content": "What does functools.reduce do?"}]
    tokenizer = chat_of(demo_folder())
    told = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    answer = llamacpp.post("/apply-template", {"messages": messages})
    assert f"{tokenizer.bos_token}{answer['prompt']}" == told  # llama.cpp adds the sign itself
    chat = llamacpp.post("/v1/chat/completions", {"messages": messages, "max_tokens": 1})
    ids = tokenizer(told, add_special_tokens=False)["input_ids"]
    assert chat["usage"]["prompt_tokens"] == len(ids)


def test_without_the_package_gguf_the_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InputError, match=r"pip install gguf"):
        demo_gguf(tmp_path / "demo.gguf")
    assert not list(tmp_path.iterdir())


def test_a_server_ends_with_its_leash_and_all_that_it_started(tmp_path: Path) -> None:
    server = running.scripted(tmp_path / "log")
    processes = server.processes()
    assert processes
    server.stop()
    until(lambda: all(gone(process) for process in processes))


def test_the_script_says_when_tokens_come(scripted: Scripted) -> None:
    scripted.plays(ttft=0.05, interval=0.02, per_event=[1, 2], counts="token_ids")
    body = stream(scripted, max_tokens=6)
    [entry] = scripted.log()
    events = [json.loads(line[6:]) for line in body.split("\n") if line.startswith("data: {")]
    texts = [choice["text"] for event in events for choice in event["choices"]]
    assert texts == ["r0.0 ", "r0.1 r0.2 ", "r0.3 ", "r0.4 r0.5 ", ""]
    assert entry["tokens"] == 6
    due = [0.05 + 0.02 * place for place in range(4)]
    tick = 1_000_000  # uvloop's timers count whole milliseconds
    assert all(
        sent - entry["came"] >= at * 1e9 - tick for sent, at in zip(entry["sent"], due, strict=True)
    )
    assert events[-1]["usage"]["completion_tokens"] == 6


def test_the_script_loses_and_lies(scripted: Scripted) -> None:
    scripted.plays({"after": 2, "then": "reset"}, {"connection": "lies"}, interval=0.001)
    with pytest.raises(ConnectionResetError):
        stream(scripted, max_tokens=4)
    assert "r1.3" in stream(scripted, max_tokens=4)
    assert [entry["ended"] for entry in scripted.log()] == ["reset", "whole"]


def stream(scripted: Scripted, **asked: object) -> str:
    """All that comes on one connection until it is closed or the last chunk is there."""
    body = json.dumps({"stream": True, **asked})
    host, _, port = scripted.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        head = f"POST /v1/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())
        read = b""
        while not read.endswith(b"0\r\n\r\n") and (data := connection.recv(65536)):
            read += data
    return read.decode()
