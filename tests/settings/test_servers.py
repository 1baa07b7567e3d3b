"""What is asked of a run on servers: addresses, variables, and what cannot go together."""

from __future__ import annotations

import pytest

from llamatop.commands.asked import config_of
from llamatop.errors import InputError
from llamatop.settings.checks import checked
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import (
    base_url,
    base_urls,
    check_secrets,
    is_here,
    parse_headers,
    ports_here,
)

URL = "http://127.0.0.1:8000"


def asked(line: str) -> RunConfig:
    """What a command line comes to."""
    return config_of(line.split())


@pytest.mark.parametrize(
    ("text", "base"),
    [
        (URL, URL),
        (f"{URL}/", URL),
        (f"{URL}/v1", URL),
        (f"{URL}/v1/", URL),
        ("HTTPS://Host.example/proxy/v1", "https://Host.example/proxy"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("gpu-1.example:8000/proxy/v1", "http://gpu-1.example:8000/proxy"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_v1_and_a_slash_say_nothing(text: str, base: str) -> None:
    assert base_url(text) == base


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("localhost", "must begin with http"),
        ("host:99999", "no port"),
        ("host:8000/v1?key=hidden", "a query"),
        ("ftp://host", "must begin with http"),
        ("http://", "name a host"),
        ("http://host:99999", "no port"),
        ("http://[::1", "no address"),
        ("http://host/v1/chat/completions", "--endpoint"),
        ("http://ho st", "blank"),
        ("http://host?key=hidden", "a query"),
        ("http://user:hidden@host", "password"),
        ("user:hidden@host", "password"),
        ("http://ho\x7fst", "another character"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        base_url(text)
    assert "\n" not in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_server_is_named_once() -> None:
    with pytest.raises(InputError, match="twice"):
        base_urls([URL, f"{URL}/v1"])


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.1.1", "http://[::1]:1"])
def test_this_machine_is_known(url: str) -> None:
    assert is_here(url) and not is_here("http://host.example")


def test_ports_are_those_of_servers_that_are_all_here() -> None:
    assert ports_here(["http://localhost:1", "https://127.0.1.1"]) == (1, 443)
    assert ports_here(["http://localhost:1", "http://host.example:2"]) == ()
    assert ports_here([]) == ()


@pytest.mark.parametrize("text", ["Authorization", "=X", "A b=X", "A=", "A=not a name", "Host=X"])
def test_a_header_names_its_variable(text: str) -> None:
    with pytest.raises(InputError, match="--header"):
        parse_headers([text])
    assert parse_headers(["X-Team=TEAM"]) == (("X-Team", "TEAM"),)


def test_no_message_repeats_what_could_be_a_secret() -> None:
    for text in ("Authorization=sk-hidden", "sk-hidden", "Authorization=hidden key"):
        with pytest.raises(InputError) as error:
            parse_headers([text])
        assert "hidden" not in str(error.value)
    with pytest.raises(InputError) as error:
        check_secrets("hf_hidden", (), {})
    assert "hidden" not in str(error.value)


@pytest.mark.parametrize("value", [None, "", " ", "a\nb", "a\rb", "ключ"])
def test_a_variable_that_no_header_can_have_is_told(value: str | None) -> None:
    environment = {} if value is None else {"KEY": value}
    with pytest.raises(InputError, match="--api-key-env KEY"):
        check_secrets("KEY", (), environment)
    with pytest.raises(InputError, match="--header X=KEY"):
        check_secrets(None, [("X", "KEY")], environment)
    check_secrets("KEY", [("X", "KEY")], {"KEY": "sk-1"})


def test_a_url_implies_its_engine_and_no_model() -> None:
    config = asked(f"--record --url {URL}/v1 http://host.example --endpoint chat --timeout 5")
    assert config.urls == (URL, "http://host.example")
    assert (config.engine, config.model, config.endpoint) == ("server", "", "chat")
    assert (config.timeout, config.called) == (5.0, "127.0.0.1:8000")
    assert not config.loads_model
    assert asked(f"--url {URL} --model m").model == "m"
    assert asked(f"--url {URL} --url http://b").urls == (URL, "http://b")
    assert (asked("--record").model, asked("--record").engine) == ("demo", "auto")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--engine server", "--engine server: give"),
        *((f"--url {URL} {more}", more.split()[0]) for more in (
            "--engine batch", "--engine scripted", "--weights random", "--layers 2",
            "--dtype float16", "--device cpu", "--quantize int8", "--offload disk",
            "--memory 2GB", "--until-oom", "--timeout 0", "--timeout nan", "--client-processes 0",
            "--client-processes 99", "--api-key-env sk-1",
        )),
        *((more, more.split()[0]) for more in (
            "--endpoint chat", "--tokenizer t", "--api-key-env KEY", "--header A=KEY",
            "--timeout 5", "--client-processes 2",
        )),
    ],
)  # fmt: skip
def test_what_cannot_go_together_is_one_line(line: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        asked(line)
    assert told in str(error.value) and "\n" not in str(error.value)


def test_a_config_by_hand_is_checked_as_one_of_the_command_line() -> None:
    with pytest.raises(InputError, match="--url"):
        checked(RunConfig(engine="server", urls=("host",)))
