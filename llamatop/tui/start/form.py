"""The settings beside the list: what each field takes, what is wrong with it, the config it makes.

Pure; knows no widget. A field that is not shown keeps what the command line gave.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import msgspec
from msgspec.structs import replace

from llamatop.errors import InputError
from llamatop.settings.checks import checked
from llamatop.settings.config import (
    DTYPES,
    ENDPOINTS,
    ENGINES,
    QUANTIZE,
    RunConfig,
    parse_slo,
    whole_prompts,
)
from llamatop.settings.installed import missing
from llamatop.settings.lengths import parse_lengths
from llamatop.settings.servers import base_urls
from llamatop.tui.start.edit import Edit

SERVER = "server"
"""The source of a choice that is a server's address."""


class Field(msgspec.Struct, frozen=True):
    """One setting; `options` where it is picked rather than typed."""

    name: str
    option: str
    told: str
    """What it is, in a phrase."""
    options: tuple[str, ...] = ()


FIELDS = (
    Field("concurrency", "--concurrency", "requests in flight, a level each: 4, or 1 2 4 8; "
          "or until ttft=0.5"),
    Field("prompt", "--prompt-toks", "tokens of each prompt, exactly"),
    Field("output", "--gen-toks", "tokens generated for each request, exactly"),
    Field("requests", "--requests", "measured requests per level; empty: until stopped"),
    Field("engine", "--engine", "who generates; auto: what is fastest on the device",
          tuple(name for name in ENGINES if name not in ("server", "scripted"))),
    Field("weights", "--weights", "random: exact shapes, real speed and memory, noise as text",
          ("auto", "random")),
    Field("dtype", "--dtype", "auto: as the checkpoint", DTYPES),
    Field("quantize", "--quantize", "weights in 8 or 4 bits", QUANTIZE),
    Field("device", "--device", "auto: the best there is",
          ("auto", "cpu", "cuda", *(["mps"] if sys.platform == "darwin" else []))),
)  # fmt: skip
"""In the order in which they are shown."""

SERVER_FIELDS = (
    *FIELDS[:4],
    Field("model", "--model", "what the server calls it; empty: the only one that it lists"),
    Field("endpoint", "--endpoint", "chat goes through the model's template", ENDPOINTS),
    Field("tokenizer", "--tokenizer", "an id or a folder: prompts of exact length, where ids are "
          "not taken"),
    Field("timeout", "--timeout", "seconds without a token after which a request has failed"),
    Field("key", "--api-key-env", "the variable that holds the key, never the key itself"),
)  # fmt: skip
"""The same for a server; as many."""

UNTIL = "until"
"""Before targets, in place of levels: `--until-slo`."""

NAMES = tuple(field.name for field in FIELDS)


class Form:
    """What stands in the fields."""

    def __init__(self, defaults: RunConfig) -> None:
        self.defaults = defaults
        self.at = 0
        """The field that keys go to."""
        self.serving = False
        """Whether these are the settings of a server."""
        self.picked = {
            "endpoint": str(defaults.endpoint),
            "engine": "auto" if defaults.urls else str(defaults.engine),
            "weights": str(defaults.weights),
            "dtype": str(defaults.dtype),
            "quantize": str(defaults.quantize),
            "device": defaults.device,
        }
        self.edits = {
            "concurrency": Edit.of(_plan(defaults)),
            "prompt": Edit.of(str(defaults.prompt_lengths or defaults.prompt_toks)),
            "output": Edit.of(defaults.gen_spelling),
            "requests": Edit.of("" if defaults.requests is None else str(defaults.requests)),
            "model": Edit.of(defaults.model if defaults.urls else ""),
            "tokenizer": Edit.of(defaults.tokenizer or ""),
            "timeout": Edit.of(f"{defaults.timeout:g}"),
            "key": Edit.of(defaults.api_key_env or ""),
        }
        self._weights_chosen = defaults.weights != "auto"

    @property
    def fields(self) -> tuple[Field, ...]:
        """Those of what is chosen."""
        return SERVER_FIELDS if self.serving else FIELDS

    @property
    def field(self) -> Field:
        """The field that keys go to."""
        return self.fields[self.at]

    def options(self, field: Field) -> tuple[str, ...]:
        """What can be picked; what the command line gave is among it."""
        default = str(getattr(self.defaults, field.name)) if field.options else ""
        known = default in field.options or default == SERVER
        return field.options if known else (*field.options, default)

    def weights_for(self, source: str) -> str:
        """Weights as they suit a model from `source`, unless the person chose them."""
        if self._weights_chosen:
            return self.picked["weights"]
        return "random" if source == "built-in" else "auto"

    def follow(self, source: str) -> None:
        """Go along with the model that is chosen."""
        self.serving = source == SERVER
        self.picked["weights"] = self.weights_for(source)

    def move(self, steps: int) -> bool:
        """To another field; False where there is none."""
        there = self.at + steps
        if 0 <= there < len(self.fields):
            self.go(there)
            return True
        return False

    def go(self, at: int) -> None:
        """To a field, its text selected: what is typed takes its place."""
        self.at = at
        if not self.field.options:
            self.edits[self.field.name] = self.edits[self.field.name].selected()

    def typed(self, text: str) -> None:
        """Text for the field: inserted, or the option that begins with it."""
        field, begins = self.field, text.strip().casefold()[:1]
        if not field.options:
            self.edits[field.name] = self.edits[field.name].typed(text)
        elif begins:
            self._pick_by(field, begins)
        else:
            self.turn(1)

    def pressed(self, key: str) -> bool:
        """An editing key; False where it means nothing here."""
        if self.field.options:
            steps = {"left": -1, "right": 1}.get(key, 0)
            self.turn(steps)
            return bool(steps)
        edited = self.edits[self.field.name].pressed(key)
        if edited is not None:
            self.edits[self.field.name] = edited
        return edited is not None

    def turn(self, steps: int) -> None:
        """To another of the field's options, round and round."""
        field = self.field
        if field.options and steps:
            options = self.options(field)
            there = options.index(self.picked[field.name]) + steps
            self._pick(field, options[there % len(options)])

    def _pick_by(self, field: Field, begins: str) -> None:
        """The next option that begins so."""
        options = self.options(field)
        at = options.index(self.picked[field.name]) + 1
        found = (o for o in (*options[at:], *options[:at]) if o.startswith(begins))
        self._pick(field, next(found, self.picked[field.name]))

    def _pick(self, field: Field, option: str) -> None:
        self.picked[field.name] = option
        if field.name == "weights":
            self._weights_chosen = True

    def text(self, field: Field) -> str:
        """What stands in a field."""
        return self.picked[field.name] if field.options else self.edits[field.name].text

    def config(self, model: str) -> RunConfig:
        """The run that the fields ask for; InputError where one of them cannot be.

        `model` is its name, or the address of a server (of several, blanks between them).
        """
        changes: dict[str, Any] = {} if self.serving else {"model": model}
        for field in self.fields:
            text = self.text(field)
            changes |= {field.name: text} if field.options else _PARSERS[field.name](text)
        levels, requests = changes["concurrency"], changes["requests"]
        base = self._base(model)
        searches = base.until_oom or changes["until_slo"]  # these, and a sweep, come to an end
        one = len(levels) == 1 and not searches
        found = self.defaults.api_key_env == "" and base.urls == self.defaults.urls
        if found and changes.get("api_key_env") is None:
            changes["api_key_env"] = ""  # no key but one that is named goes there
        asked = replace(base, **changes, endless=requests is None and one)
        return checked(whole_prompts(asked))

    def _base(self, urls: str) -> RunConfig:
        """What the command line gave, as far as it is about what is chosen."""
        plain, given = RunConfig(), self.defaults
        if not self.serving:
            own = {name: getattr(plain, name) for name in _OF_SERVERS}
            return replace(given, **own, engine="auto" if given.urls else given.engine)
        own = {name: getattr(plain, name) for name in _OF_MODELS}
        return replace(given, **{**own, "engine": "server", "urls": base_urls(urls.split())})

    def problems(self, context: int | None = None) -> dict[str, str]:
        """What is wrong, by the field's name; `context` is the model's, in tokens."""
        told = {}
        base = self._base(_ANY)
        for field in self.fields:
            if not field.options:
                try:
                    checked(replace(base, **_PARSERS[field.name](self.text(field))))
                except InputError as error:
                    told[field.name] = str(error).partition(": ")[2]
        return told or self._problem_of_all(context)

    def _problem_of_all(self, context: int | None) -> dict[str, str]:
        """What is wrong with fields that are right each by itself."""
        if self.serving:
            return {}
        if self.picked["engine"] != "scripted" and (told := missing()):
            return {"engine": told}
        quantize = self.picked["quantize"]
        picked = self.picked
        by_torch = picked["device"] in ("auto", "cpu") and picked["dtype"] in ("auto", "bfloat16")
        by_library = quantize == "int4" or not by_torch
        if quantize != "none" and by_library and find_spec("bitsandbytes") is None:
            return {"quantize": "needs bitsandbytes: pip install bitsandbytes"}
        try:
            config = self.config("")
        except InputError as error:
            return {"engine" if quantize == "none" else "quantize": str(error)}
        return too_long(config, context) if context is not None else {}


def too_long(config: RunConfig, context: int) -> dict[str, str]:
    """What does not fit in a context (tokens): one of prompt and output, or both together."""
    asked = {"prompt": config.prompt_toks, "output": config.gen_toks}
    alone = [name for name, tokens in asked.items() if tokens >= context]
    if alone:
        return dict.fromkeys(alone, f"context is {context:,} tokens")
    if sum(asked.values()) <= context:
        return {}
    above = f"above {context:,} tokens"
    return {"prompt": f"with the output {above}", "output": f"with the prompt {above}"}


def _plan(config: RunConfig) -> str:
    """The levels, or the targets until which the concurrency is raised, as typed."""
    if not config.until_slo:
        return " ".join(map(str, config.concurrency))
    return f"{UNTIL} " + ",".join(f"{name}={value:g}" for name, value in config.slo.items())


def _levels(text: str) -> dict[str, Any]:
    first, _, targets = text.strip().partition(" ")
    if first == UNTIL:
        slo = parse_slo(targets.replace(" ", ""))
        return {"concurrency": RunConfig().concurrency, "until_slo": True, "slo": slo}
    parts = re.split(r"[\s,]+", text.strip())
    levels = tuple(_whole("--concurrency", part) for part in parts if part)
    return {"concurrency": levels, "until_slo": False}


def _requests(text: str) -> dict[str, Any]:
    if not text.strip():
        return {"requests": None}
    return {"requests": _whole("--requests", text)}


def _lengths(name: str, text: str) -> dict[str, Any]:
    if not text.strip():
        raise InputError(f"--{name}-toks: give a number")
    longest, drawn = parse_lengths(f"--{name}-toks", text)
    return {f"{name}_toks": longest, f"{name}_lengths": drawn}


def _seconds(text: str) -> dict[str, Any]:
    try:
        return {"timeout": float(text)}
    except ValueError:
        raise InputError("--timeout: give a number of seconds") from None


def _whole(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        told = "must be a whole number" if text.strip() else "give a number"
        raise InputError(f"{option}: {told}") from None


_PARSERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "concurrency": _levels,
    "prompt": lambda text: _lengths("prompt", text),
    "output": lambda text: _lengths("gen", text),
    "requests": _requests,
    "model": lambda text: {"model": text.strip()},
    "tokenizer": lambda text: {"tokenizer": text.strip() or None},
    "timeout": _seconds,
    "key": lambda text: {"api_key_env": text.strip() or None},
}

_OF_SERVERS = (
    "urls", "serve", "serve_timeout", "endpoint", "tokenizer", "api_key_env", "headers", "timeout",
    "client_processes", "alerts", "cost_per_hour",
)  # fmt: skip
_OF_MODELS = (
    "weights", "layers", "dtype", "device", "quantize", "offload", "tp", "memory", "until_oom",
)  # fmt: skip
"""Settings that only servers have, and that only models of our own have."""

_ANY = "http://127.0.0.1"
"""An address in place of one, where it does not matter."""
