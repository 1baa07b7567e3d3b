"""What a person asks of a run. Knows no engine, no model and no file, nor what cannot be."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Literal

import msgspec

from llamatop.errors import InputError
from llamatop.settings.lengths import Lengths
from llamatop.settings.servers import host_of

MAX_CONCURRENCY = 4096
"""More requests at once than this is a typing error rather than a wish."""

USUAL_WAVES = 8
"""Measured requests of a level, in multiples of its concurrency: with so many, a tenth is told from
chance."""

Weights = Literal["auto", "random"]
EngineName = Literal["auto", "continuous", "batch", "threads", "server", "scripted", "attach"]
Endpoint = Literal["completions", "chat"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
QuantizeName = Literal["none", "int8", "int4"]
OffloadName = Literal["none", "cpu", "disk"]

SLO_NAMES = ("ttft", "tpot", "e2e")
"""Latencies that may have a target."""

ENGINES: tuple[EngineName, ...] = ("auto", "continuous", "batch", "threads", "server", "scripted")
ENDPOINTS: tuple[Endpoint, ...] = ("completions", "chat")
DTYPES: tuple[DtypeName, ...] = ("auto", "float32", "bfloat16", "float16")
QUANTIZE: tuple[QuantizeName, ...] = ("none", "int8", "int4")


class RunConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one run; stored in its recording, so nothing secret may enter."""

    model: str = "demo"
    """A Hugging Face id, a local folder, or `demo`; with `urls` what the server calls it, empty:
    the only one that it lists."""
    weights: Weights = "auto"
    layers: int | None = None
    """Keep the first so many layers only."""
    engine: EngineName = "auto"
    concurrency: tuple[int, ...] = (1,)
    """Requests in flight, one level after another."""
    requests: int | None = None
    """Measured requests per level; None: eight times the concurrency, or until something else ends
    it."""
    endless: bool = False
    """Run the last level until stopped, whatever `requests` says."""
    rate: float | None = None
    """Open loop: arrivals per second; None: closed loop."""
    max_time: float | None = None
    """Seconds per level at most."""
    slo: dict[str, float] = {}
    """Targets in seconds by `SLO_NAMES`, for goodput."""
    until_oom: bool = False
    """Go on past the levels asked for until memory ends."""
    until_slo: bool = False
    """Go on past the levels asked for until `slo` is kept by less than `share` of the requests."""
    share: float = 0.95
    """Of a level's requests that shall keep every target."""
    prompt_toks: int = 128
    """Tokens of each prompt; of the longest where they are drawn; N/A with a file of `prompts`."""
    gen_toks: int = 32
    """Tokens to generate for each request; for the longest where they are drawn."""
    dtype: DtypeName = "auto"
    device: str = "auto"
    seed: int = 0
    text: bool = True
    """Decode the generated tokens to text (a headless run that records none saves the work)."""
    prompt_lengths: Lengths | None = None
    """What the lengths of prompts are drawn from; None: all have `prompt_toks`."""
    gen_lengths: Lengths | None = None
    """What the lengths of outputs are drawn from; None: all have `gen_toks`."""
    until_ci: float | None = None
    """End a level when half the width of its steady throughput's 95 % confidence interval is no
    more than this share of it."""
    prompts: str | None = None
    """A file of prompts (see `prompt_file`); None: made up, of the lengths asked for."""
    memory: int | None = None
    """Bytes that the engine process may take on a CPU; None: all there is."""
    quantize: QuantizeName = "none"
    """Bits of the weights of linear layers, quantised when they are loaded."""
    offload: OffloadName = "none"
    """Where the weights lie while they are not computed with; none: on the device."""
    urls: tuple[str, ...] = ()
    """OpenAI-compatible servers that share the load in turn; empty: the engine is in process."""
    endpoint: Endpoint = "completions"
    tokenizer: str | None = None
    """A Hugging Face id or a folder, for prompts of exact length where a server takes no ids."""
    api_key_env: str | None = None
    """The variable that holds the servers' key; never the key itself."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that every request carries: name, and the variable that holds the value."""
    timeout: float = 60.0
    """Seconds without a token after which a request has failed."""
    client_processes: int | None = None
    """Processes that send; None: as many as are needed."""
    alerts: tuple[str, ...] = ()
    """Limits of what servers tell, as `kv_usage>0.9 for 30s`."""
    cost_per_hour: float | None = None
    """What the servers cost an hour, together, in whatever currency."""
    repeat: int = 0
    """Which of several runs of one plan this is, from 1; 0: it is the only one."""
    repeats: int = 0
    """How many there were to be."""
    bound: str = ""
    """The name that these runs share."""

    @property
    def called(self) -> str:
        """The model that is asked for; where the server shall say which, that server's host."""
        return self.model or (host_of(self.urls[0]) if self.urls else "")

    @property
    def loads_model(self) -> bool:
        """Whether a model is loaded on this machine, by an engine of ours."""
        return self.engine not in ("scripted", "server", "attach")

    @property
    def varied(self) -> bool:
        """Whether requests differ in their lengths."""
        drawn = (self.prompt_lengths, self.gen_lengths, self.prompts)
        return any(one is not None for one in drawn)

    @property
    def prompt_spelling(self) -> str:
        """Lengths of prompts as on the command line; of a file of them, its name."""
        if self.prompts is not None:
            return Path(self.prompts).name
        return str(self.prompt_lengths or self.prompt_toks)

    @property
    def gen_spelling(self) -> str:
        """Lengths of outputs as on the command line."""
        return str(self.gen_lengths or self.gen_toks)

    def requests_at(self, concurrency: int) -> int | None:
        """Measured requests of a level; None: until stopped."""
        if self.endless:
            return None
        if self.requests is not None or self.until_ci is not None:
            return self.requests
        return concurrency if self.until_oom else USUAL_WAVES * concurrency


WATCHED = RunConfig(concurrency=(4,), gen_toks=200, endless=True)
"""What a run on the screen is where nothing else is asked for."""


def to_choose_from(config: RunConfig) -> RunConfig:
    """The settings with which the start screen begins after `config`; of a watch its servers alone,
    to be driven."""
    if config.engine != "attach":
        return config
    return msgspec.structs.replace(WATCHED, model="", engine="server", urls=config.urls)


def lengths_options(config: RunConfig) -> list[tuple[str, str, str | None]]:
    """Options that ask for the same lengths again: name, value, what it is when not given."""
    plain = RunConfig()
    prompts = ("--prompt-toks", config.prompt_spelling, plain.prompt_spelling)
    if config.prompts is not None:
        prompts = ("--prompts", config.prompts, "")
    return [prompts, ("--gen-toks", config.gen_spelling, plain.gen_spelling)]


def server_options(config: RunConfig) -> list[tuple[str, str | None, str | None]]:
    """Options that drive the same servers again: name, value as typed, what it is by default."""
    plain = RunConfig()
    headers = [("--header", f"{name}={variable}", None) for name, variable in config.headers]
    processes = config.client_processes
    return [
        ("--url", " ".join(config.urls), ""),
        ("--endpoint", config.endpoint, plain.endpoint),
        ("--tokenizer", config.tokenizer, None),
        ("--api-key-env", config.api_key_env, None),
        *headers,
        ("--timeout", f"{config.timeout:g}", f"{plain.timeout:g}"),
        ("--client-processes", None if processes is None else str(processes), None),
    ]


def parse_slo(text: str) -> dict[str, float]:
    """Targets from `ttft=0.5,tpot=0.05`, in seconds; InputError where that cannot be read."""
    targets = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in SLO_NAMES:
            raise InputError(f"--slo {text}: {name!r} is none of {', '.join(SLO_NAMES)}")
        try:
            targets[name] = float(value)
        except ValueError:
            raise InputError(f"--slo {text}: {value!r} is no number of seconds") from None
        if not 0 < targets[name] < inf:
            raise InputError(f"--slo {text}: {name} must be more than 0 seconds, and finite")
    return targets
