"""A server's command: split without a shell, and filled in as it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.errors import InputError
from llamatop.serve.command import MODEL, PORT, Plan, filled, split

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(TEXT)
def test_a_models_name_stays_one_argument_whatever_it_has(model: str) -> None:
    parts = split("vllm serve {model} --served-model-name={model} --port {port}")
    assert filled(parts, model, 8123) == (
        "vllm", "serve", model, f"--served-model-name={model}", "--port", "8123",
    )  # fmt: skip


def test_other_braces_and_what_a_shell_would_expand_are_what_they_are() -> None:
    parts = split("""run '{"a": {}}' {models} {{port}} $HOME *.x '{model} {port}' ~ {port}""")
    assert filled(parts, "a{port}b", 1) == (
        "run", '{"a": {}}', "{models}", "{1}", "$HOME", "*.x", "a{port}b 1", "~", "1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("", "give a command"),
        ("serve '{port}", "cannot be split"),
        ("vllm serve {model}", "has no {port}"),
        ("vllm serve --port {port} --api-key sk-secret", "--api-key would be recorded"),
        ("serve --port {port} --hf-token=hf-secret", "--hf-token would be recorded"),
        ("serve --port {port} --admin_api_key sk-secret", "--admin_api_key would be recorded"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(command: str, says: str) -> None:
    with pytest.raises(InputError) as refusal:
        split(command)
    told = str(refusal.value)
    assert says in told
    assert "\n" not in told and "secret" not in told


def test_options_that_only_look_like_secrets_are_taken() -> None:
    command = f"serve {MODEL} {PORT} --api-key-file f --max-tokens 5 --tokenizer t --token-ids"
    assert len(split(command)) == 10


def test_a_plan_is_shown_as_one_would_type_it() -> None:
    plan = Plan(("serve", "a b", "{x}"), 1, "a b", {"MODE": "not shared"})
    assert plan.shown == "MODE='not shared' serve 'a b' '{x}'"
