"""What a person asks of a run. Knows no engine, no model and no file, nor what cannot be."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Literal

import msgspec

from llamatop.errors import InputError
from llamatop.settings.arrivals import Ramp, spelled
from llamatop.settings.lengths import Lengths
from llamatop.settings.servers import host_of

MAX_CONCURRENCY = 4096
"""More requests at once than this is a typing error rather than a wish."""

USUAL_WAVES = 8
"""Measured requests of a level, in multiples of its concurrency: with so many, a tenth is told from
chance."""

Weights = Literal["auto", "random"]
EngineName = Literal[
    "auto", "continuous", "batch", "compiled", "threads", "server", "scripted", "attach"
]
Endpoint = Literal["completions", "chat"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
QuantizeName = Literal["none", "int8", "int4"]
OffloadName = Literal["none", "cpu", "disk"]

SLO_NAMES = ("ttft", "tpot", "e2e")
"""Latencies that may have a target."""

ENGINES: tuple[EngineName, ...] = (
    "auto", "continuous", "batch", "compiled", "threads", "server", "scripted",
)  # fmt: skip
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
    burstiness: float = 1.0
    """Shape of the gamma distribution of the gaps between arrivals; 1: Poisson."""
    ramp: Ramp | None = None
    """Open loop: arrivals per second from the first to the second, over `max_time`."""
    replayed: bool = False
    """Open loop: the prompts of the file arrive at its times."""
    speed: float = 1.0
    """How much faster than they did."""
    prefix_toks: int = 0
    """Tokens of a beginning that prompts share, before `prompt_lengths`; 0: none is shared."""
    prefixes: int = 1
    """How many such beginnings there are."""
    turns: int | None = None
    """Requests of a conversation; None: one, or of a file as many as its lines have user turns."""
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
    """Tokens of each prompt; of the longest where they are drawn, shared beginning and history
    included; N/A with a file of `prompts`."""
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
    tuning: bool = True
    """Measure what is quickest on this machine, and lay the weights out so."""
    tp: int = 1
    """Ranks that share each layer (tensor parallel), a process and a device each."""
    urls: tuple[str, ...] = ()
    """OpenAI-compatible servers that share the load in turn; empty: the engine is in process."""
    serve: str | None = None
    """The command, or the short name, of a server that the run starts and ends; `urls` is then
    where it listened."""
    serve_timeout: float = 600.0
    """Seconds within which that must be ready."""
    endpoint: Endpoint = "completions"
    tokenizer: str | None = None
    """A Hugging Face id or a folder, for prompts of exact length where a server takes no ids."""
    api_key_env: str | None = None
    """The variable that holds the servers' key; never the key itself. None: the usual one; empty:
    no key is sent, as to servers that were found and not named."""
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
    def shares(self) -> bool:
        """Whether prompts begin alike on purpose, so that caches of beginnings are to be on."""
        return self.prefix_toks > 0 or self.talks

    @property
    def talks(self) -> bool:
        """Whether requests may belong to conversations."""
        return (self.turns or 1) > 1

    @property
    def open_loop(self) -> bool:
        """Whether requests arrive at times of their own; `concurrency` is then the most at once."""
        return self.rate is not None or self.ramp is not None or self.replayed

    @property
    def arrivals(self) -> str:
        """How requests arrive, in words."""
        bursts = f", burstiness {self.burstiness:g}" if self.burstiness != 1 else ""
        if self.replayed:
            faster = f", {self.speed:g} times as fast" if self.speed != 1 else ""
            return f"open loop, at the file's times{faster}"
        if self.ramp is not None:
            return f"open loop, {self.ramp[0]:g} to {self.ramp[1]:g}/s{bursts}"
        return "closed loop" if self.rate is None else f"open loop, {self.rate:g}/s{bursts}"

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
        if self.requests is not None or self.until_ci is not None or self.ramp is not None:
            return self.requests
        return concurrency if self.until_oom else USUAL_WAVES * concurrency * (self.turns or 1)


def whole_prompts(config: RunConfig) -> RunConfig:
    """The same with the longest whole prompt in `prompt_toks`, where that holds its own text only.

    Before it stand the shared beginning, and in a conversation all turns and answers before.
    """
    turns = config.turns or 1
    if config.prompts is not None or (turns == 1 and not config.prefix_toks):
        return config
    own = config.prompt_toks
    lengths = config.prompt_lengths or Lengths("uniform", own, own)
    whole = config.prefix_toks + turns * own + (turns - 1) * config.gen_toks
    return msgspec.structs.replace(config, prompt_toks=whole, prompt_lengths=lengths)


WATCHED = RunConfig(concurrency=(4,), gen_toks=200, endless=True)
"""What a run on the screen is where nothing else is asked for."""


def with_server(config: RunConfig, serve: str | None, model: str | None) -> RunConfig:
    """The same run on a server that it starts. `model` is what was asked for; where nothing was,
    it is the bundled one, unless the command says by itself what it serves."""
    if serve is None:
        return config
    named = len(serve.split()) == 1 or "{model}" in serve
    return msgspec.structs.replace(
        config, serve=serve, model=model or ("demo" if named else ""), engine=_of_server(config)
    )


def _of_server(config: RunConfig) -> EngineName:
    return "server" if config.engine == "auto" else config.engine


def to_choose_from(config: RunConfig) -> RunConfig:
    """The settings with which the start screen begins after `config`; of a watch its servers alone,
    to be driven."""
    if config.serve is not None:  # which has ended with its run
        return msgspec.structs.replace(config, serve=None, urls=(), engine="auto")
    if config.engine != "attach":
        return config
    return msgspec.structs.replace(
        WATCHED,
        model="",
        engine="server",
        urls=config.urls,
        api_key_env=config.api_key_env,
        headers=config.headers,
    )


def lengths_options(config: RunConfig) -> list[tuple[str, str, str | None]]:
    """Options that ask for the same lengths again: name, value, what it is when not given."""
    plain = RunConfig()
    prompts = ("--prompt-toks", config.prompt_spelling, plain.prompt_spelling)
    if config.prompts is not None:
        prompts = ("--prompts", config.prompts, "")
    return [prompts, ("--gen-toks", config.gen_spelling, plain.gen_spelling)]


def shared_options(config: RunConfig) -> list[tuple[str, str | None, str | None]]:
    """Options that ask for the same beginnings and conversations again, likewise."""
    shared = str(config.prefix_toks) if config.prefix_toks else None
    return [
        ("--prefix-toks", shared, None),
        ("--prefixes", str(config.prefixes), "1"),
        ("--turns", None if config.turns is None else str(config.turns), None),
    ]


def arrival_options(config: RunConfig) -> list[tuple[str, str | None, str | None]]:
    """Options that ask for the same arrivals again: name, value, what it is when not given."""
    plain = RunConfig()
    return [
        ("--rate", None if config.rate is None else f"{config.rate:g}", None),
        ("--ramp", None if config.ramp is None else spelled(config.ramp), None),
        ("--burstiness", f"{config.burstiness:g}", f"{plain.burstiness:g}"),
        ("--speed", f"{config.speed:g}", f"{plain.speed:g}"),
    ]


def server_options(config: RunConfig) -> list[tuple[str, str | None, str | None]]:
    """Options that drive the same servers again: name, value as typed, what it is by default."""
    plain = RunConfig()
    headers = [("--header", f"{name}={variable}", None) for name, variable in config.headers]
    processes, price = config.client_processes, config.cost_per_hour
    return [
        ("--url", "" if config.serve else " ".join(config.urls), ""),
        ("--serve", config.serve, None),
        ("--serve-timeout", f"{config.serve_timeout:g}", f"{plain.serve_timeout:g}"),
        ("--endpoint", config.endpoint, plain.endpoint),
        ("--tokenizer", config.tokenizer, None),
        ("--api-key-env", config.api_key_env or None, None),
        *headers,
        ("--timeout", f"{config.timeout:g}", f"{plain.timeout:g}"),
        ("--client-processes", None if processes is None else str(processes), None),
        *(("--alert", text, None) for text in config.alerts),
        ("--cost-per-hour", None if price is None else f"{price:g}", None),
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
