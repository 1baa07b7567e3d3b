"""The command that starts a server: split as a shell would, without one, and filled in.

`{model}` and `{port}` are what is filled in, and only these: any other brace is what it is. What is
filled in stays one argument, whatever characters it has. Knows no process.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from llamatop.errors import InputError

MODEL, PORT = "{model}", "{port}"

_PLACES = re.compile(r"\{model\}|\{port\}")

_SECRET = re.compile(
    r"-{1,2}(.*[-_])?(api[-_]?keys?|secrets?|passwords?|passwd|(hf|auth|access|bearer|admin)[-_]token|token)"
    r"(=.*)?",
    re.IGNORECASE,
)
"""Options whose value is a secret; `--api-key-file` and `--max-tokens` are none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run to have a server, and what is known of it before it runs."""

    arguments: tuple[str, ...]
    port: int
    model: str
    """What stands for `{model}`: a name, a folder or a file."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it finds in its environment beside ours; no secret."""
    calls: str = ""
    """What the server calls the model, where that is known beforehand."""
    tokenizer: str | None = None
    """A folder with the model's tokenizer, where the server takes no token ids."""

    foretold: bool = True
    """Whether `model` says which model it will be, so that its memory can be foretold."""

    @property
    def shown(self) -> str:
        """As one would type it into a shell."""
        given = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*given, shlex.join(self.arguments)])


def split(text: str) -> list[str]:
    """A command's arguments with their placeholders; InputError where it cannot be one."""
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise InputError(f"--serve: the command cannot be split ({error}); close it") from None
    if not parts:
        raise InputError("--serve: give a command, or a short name as llama.cpp")
    if not any(PORT in part for part in parts):
        raise InputError(
            "--serve: the command has no {port}; put it where the server takes its port, as in "
            "'vllm serve {model} --port {port}'"
        )
    for part in parts:
        if _SECRET.fullmatch(part):
            raise InputError(
                f"--serve: {part.partition('=')[0]} would be recorded, and shown to everyone on "
                "this machine; give the key in a variable of the server's"
            )
    return parts


def filled(parts: list[str], model: str, port: int) -> tuple[str, ...]:
    """The arguments with their placeholders filled in; what is filled in is not looked at again."""
    values = {MODEL: model, PORT: str(port)}
    return tuple(_PLACES.sub(lambda found: values[found.group()], part) for part in parts)
