"""A server on the start screen: its address in the search, its own settings, the command shown."""

from __future__ import annotations

import os

import pytest
from msgspec.structs import replace

from llamatop.settings.config import to_choose_from
from llamatop.settings.servers import sent_headers
from llamatop.tui.start.answering import Answering
from llamatop.tui.start.aside import command, settings
from llamatop.tui.start.edit import Edit
from llamatop.tui.start.form import FIELDS, SERVER_FIELDS
from llamatop.tui.start.memory import memory
from llamatop.tui.start.rows import ADDRESSES, Heading, server
from llamatop.tui.start.state import Start
from tests.tui.start.case import CHOICES, DEFAULTS, KEPT, MACHINE, StartApp
from tests.tui.start.test_screen import ready

URL = "http://127.0.0.1:8080"


def start_of(defaults=DEFAULTS) -> Start:
    start = Start(defaults)
    start.found_machine(MACHINE)
    start.found_models(CHOICES)
    start.found_recordings(KEPT)
    for what in ("machine", "models", "recordings"):
        start.looked(what)
    return start


def text_of(content) -> str:
    return "\n".join("".join(text for text, _ in line) for line in content.lines)


@pytest.mark.parametrize("typed", [URL, f"{URL}/v1", "127.0.0.1:8080", "localhost:8080/v1/"])
def test_an_address_offers_a_server(typed: str):
    start = start_of()
    start.typed(typed)
    assert start.selected is not None and start.selected.source == "server"
    assert Heading(ADDRESSES) in start.listing.rows
    config = start.chosen()
    assert config.engine == "server" and config.model == ""
    assert config.urls[0].endswith(":8080") and config.urls[0].startswith("http://")


@pytest.mark.parametrize("typed", ["demo", "Qwen/Qwen3-0.6B", "./folder", "httpx", "a:b"])
def test_other_names_are_no_address(typed: str):
    assert server(typed) is None


def test_several_addresses_share_the_load():
    start = start_of()
    start.typed("http://one:1 http://two:2/v1")
    assert start.chosen().urls == ("http://one:1", "http://two:2")


@pytest.mark.parametrize("typed", ["http://", "http://u:hidden@host", "http://host?key=hidden"])
def test_an_address_that_cannot_be_says_why(typed: str):
    start = start_of()
    start.typed(typed)
    assert start.chosen() is None and start.told.startswith("server: --url")
    assert "hidden" not in start.told and start.command() == []
    assert "--url" in text_of(command(start, 120, 3))


def test_a_server_has_settings_of_its_own():
    assert len(SERVER_FIELDS) == len(FIELDS), "so that the form keeps its place"
    start = start_of()
    start.typed(URL)
    text = text_of(settings(start, 60, 14))
    for words in ("model", "its only one", "endpoint", "tokenizer", "OPENAI_API_KEY"):
        assert words in text
    assert "quantize" not in text and "quantize" in text_of(settings(start_of(), 60, 14))
    form = start.form
    form.edits["model"], form.edits["key"] = Edit.of("tiny"), Edit.of("MY_KEY")
    form.edits["timeout"], form.picked["endpoint"] = Edit.of("5"), "chat"
    config = start.chosen()
    assert (config.model, config.api_key_env, config.timeout) == ("tiny", "MY_KEY", 5.0)
    told = " ".join(start.command())
    assert told.startswith(f"llamatop --url {URL} --endpoint chat --api-key-env MY_KEY")
    assert "--timeout 5 --model tiny --concurrency 4" in told and "--engine" not in told
    assert "nothing is loaded here" in text_of(memory(start, 60, 9))
    assert start.fit(start.selected) is None


def test_a_fault_in_a_server_s_settings_is_at_its_field():
    start = start_of()
    start.typed(URL)
    start.form.edits["timeout"] = Edit.of("soon")
    assert start.chosen() is None and start.form.field.name == "timeout"
    assert start.told == "timeout: give a number of seconds"
    start.form.edits["timeout"], start.form.edits["key"] = Edit.of("5"), Edit.of("sk-x y")
    assert start.chosen() is None and start.form.field.name == "key"


def test_what_the_command_line_gave_for_models_is_not_for_servers():
    start = start_of(replace(DEFAULTS, weights="random", dtype="float16", layers=2))
    start.typed(URL)
    config = start.chosen()
    assert (config.weights, config.dtype, config.layers) == ("auto", "auto", None)
    start.back()
    start.typed("demo")
    assert start.chosen().layers == 2 and start.chosen().urls == ()


def test_after_a_run_on_a_server_it_is_there_again():
    defaults = replace(DEFAULTS, model="", engine="server", urls=(URL,), timeout=9.0)
    start = start_of(defaults)
    assert start.selected is not None and start.selected.model == URL
    assert start.chosen() == defaults
    start.typed("demo")
    assert start.chosen().urls == () and start.chosen().timeout == 60.0
    assert start.chosen().engine == "auto"


async def test_typing_an_address_and_enter_drives_it():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await pilot.press(*"localhost:80", "enter")
        await pilot.pause()
    [config] = app.chosen
    assert config.urls == ("http://localhost:80",)


def test_a_server_that_was_found_gets_no_key_until_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    watched = Answering(URL, "llama.cpp").config

    def sent(config) -> dict[str, str]:
        return sent_headers(config.api_key_env, config.headers, os.environ)

    assert sent(watched) == {}
    start = start_of(to_choose_from(watched))
    found = start.chosen()
    assert (found.engine, found.urls, sent(found)) == ("server", (URL,), {})
    start.typed("127.0.0.1:9000")
    named = start.chosen()
    assert named.urls == ("http://127.0.0.1:9000",)
    assert sent(named) == {"Authorization": "Bearer sk-secret-key"}
