"""What would run code that comes with a file stands nowhere in the package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import llamatop

FILES = {
    path: path.read_text(encoding="utf-8")
    for path in sorted(Path(llamatop.__file__).parent.rglob("*.py"))
}

UNSAFE = re.compile(
    r"^\s*(?:import|from) (?:pickle|dill|cloudpickle|shelve|marshal|joblib)\b"
    r"|(?<![\w.])(?:eval|exec)\("
    r"|torch\.load\(|os\.system\(|os\.popen\(|yaml\.(?:unsafe_load|full_load)"
    r"|trust_remote_code=True|shell=True|use_safetensors=False|weights_only=False"
    r"|verify(?:_ssl)?=False|ssl=False|_create_unverified_context",
    re.MULTILINE,
)
SAFE_YAML = ("yaml.CSafeLoader", "yaml.SafeLoader")


def test_nothing_runs_what_a_file_brings() -> None:
    found = {path.name: match[0] for path, text in FILES.items() if (match := UNSAFE.search(text))}
    assert not found


def test_yaml_and_what_transformers_loads_are_told_to_run_nothing() -> None:
    loads = pretrained = 0
    for path, text in FILES.items():
        if "yaml.load" not in text and ".from_pretrained(" not in text:
            continue
        for name, given in calls(text):
            if name == "yaml.load":
                loads += 1
                assert ast.unparse(given["Loader"]) in SAFE_YAML, path
            elif name.endswith(".from_pretrained") and name != "Tokenizer.from_pretrained":
                pretrained += 1  # that of tokenizers reads one file of JSON
                assert ast.unparse(given["trust_remote_code"]) == "False", path
    assert loads and pretrained, "this looks at the real ones"


def calls(text: str) -> Iterator[tuple[str, dict[str | None, ast.expr]]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
