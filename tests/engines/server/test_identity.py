"""Servers are recognised by what they answered, never by their port."""

from __future__ import annotations

import pytest

from llamatop.engines.server.identity import (
    MORE,
    identity,
    is_server,
    next_paths,
)
from llamatop.engines.server.known import Reply
from tests.watch.pages import stored


def answer(name: str) -> Reply:
    status, headers, body = stored(name)
    return Reply(status, {k.lower(): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    ("name", "model", "context", "models", "more"),
    [
        ("vllm", "tiny", 2048, "vllm-0.32.0.v1-models", {}),
        ("llama.cpp", "MODEL", 2048, "llamacpp-b11434.v1-models", {}),
        ("ray", "tiny", 2048, "rayserve-2.60.0+vllm-0.32.0.models", {}),
        ("max", "MODEL", 2048, "max-26.7.0.GET_v1_models", {}),
        ("mlx", "MODEL", None, "mlx_lm-0.32.2.models", {}),
        ("transformers", "acme/demo", None, "transformers-5.23.0.models", {}),
        ("litellm", None, None, "litellm-1.106.12.GET_v1_models",
         {"/health/liveliness": "litellm-1.106.12.GET_health_liveliness"}),
    ],
)  # fmt: skip
def test_who_it_is(
    name: str, model: str | None, context: int | None, models: str, more: dict[str, str]
) -> None:
    answers = {
        path: answer(f"{file}.http") for path, file in {"/v1/models": models, **more}.items()
    }
    found = identity(answers)
    assert (found.name, found.model, found.context) == (name, model, context)
    assert is_server(answers)


def test_versions_are_asked_for_where_there_are_some() -> None:
    answers = {"/v1/models": answer("vllm-0.32.0.v1-models.http")}
    assert next_paths({}) == ("/v1/models",)
    assert next_paths(answers) == ("/version",)
    answers["/version"] = answer("vllm-0.32.0.version.http")
    assert next_paths(answers) == ()
    assert identity(answers).version == "0.32.0"


def test_a_build_that_is_not_known_is_no_version() -> None:
    answers = {"/v1/models": answer("llamacpp-b11434.v1-models.http")}
    answers["/props"] = answer("llamacpp-b11434.props.http")
    assert identity(answers).version is None


def test_what_serves_no_models_is_no_server() -> None:
    page = {"/v1/models": Reply(200, {}, b"<html>")}
    assert not is_server(page)
    assert not is_server({"/v1/models": Reply(404, {}, b"")})
    assert identity(page).name == "unknown"
    assert next_paths(page) == MORE["unknown"]


def test_ollama_is_known_by_its_own_interface() -> None:
    """By the words of its documentation; none was seen."""
    answers = {
        "/v1/models": Reply(200, {}, b'{"object":"list","data":[{"id":"a"},{"id":"b"}]}'),
        "/api/version": Reply(200, {}, b'{"version":"0.33.0"}'),
        "/api/ps": Reply(200, {}, b'{"models":[{"name":"b","context_length":4096}]}'),
    }
    found = identity(answers)
    assert (found.name, found.version, found.model) == ("ollama", "0.33.0", "b")
    assert found.context == 4096
