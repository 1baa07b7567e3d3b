"""The options of a run on the command line, in words. Knows no setting's meaning: see `asked`."""

from __future__ import annotations

from llamatop import __version__
from llamatop.commands.parser import Parser, theme

_DESCRIPTION = """\
htop for LLM inference: run a model, watch every request, record it, replay it.

  llamatop                  the terminal UI: watch a model answer requests
  llamatop --record         no UI: run, record, print a summary
  llamatop --url U          drive a running server (vLLM, llama.cpp, …) instead
  llamatop --serve CMD      start a server, drive it and end it  [--serve llama.cpp]
  llamatop attach           watch running servers that others drive  [--url U, --record]
  llamatop replay FILE      the same UI on a recording (--json: its summary)
  llamatop show FILE        what is in it, and what went wrong, as text  [--json]
  llamatop check            will it fit, and how fast can it be, before anything is loaded
  llamatop models           what can be run here
  llamatop plot FILE        charts as PNG and SVG  [--terminal, --html FILE]
  llamatop compare A B      runs side by side  [--fail-if "output_tok_s<-5%"]
  llamatop ab --a … --b …   two settings by turns in one run, until it is decided
  llamatop recommend FILE   the settings to use, and why
  llamatop export FILE      its tables as csv, json, jsonl, parquet; perfetto, openmetrics, markdown
  llamatop import FILE      other tools' results as recordings  --out FOLDER
  llamatop web              the UI, or a recording, in a browser
  llamatop roofline         this machine's measured bandwidth and arithmetic
  llamatop doctor           what works here and what does not
  llamatop completion SHELL what completes these words in a shell

Each has a --help of its own.
"""

_EXAMPLES = """\
  llamatop --model demo --concurrency 4
  llamatop --record --model demo --concurrency 1 2 4 8 --out run.parquet --json
  llamatop --model meta-llama/Llama-3.1-8B-Instruct --weights random
  llamatop --record --concurrency 1 4 16 --until-ci 0.02
  llamatop --record --concurrency 64 --rate 5 --requests 300
  llamatop --url http://127.0.0.1:8000 --concurrency 8
  llamatop --record --serve vllm --model Qwen/Qwen3-0.6B --concurrency 1 8 64
  llamatop --record --url http://127.0.0.1:8000 --until-slo --slo ttft=0.5,tpot=0.05
"""


def command_line() -> Parser:
    """What a run can be asked."""
    parser = Parser(
        prog="llamatop",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"llamatop {__version__}")
    add("--record", action="store_true", help="no UI: run, record, print a summary")
    add("--model", metavar="M",
        help="a Hugging Face id, a local folder, or demo; with --url the server's name for it "
        "(the only one that it lists)")  # fmt: skip
    add("--weights", choices=("auto", "random"), default="auto",
        help="random: the exact architecture, its text noise")  # fmt: skip
    add("--layers", type=int, metavar="N", help="keep the first N layers only")
    add("--engine", default="auto",
        choices=("auto", "continuous", "batch", "threads", "server", "scripted"),
        help="who generates (auto: what measures fastest on the device; "
        "with --url the server)")  # fmt: skip
    add("--concurrency", type=int, nargs="+", metavar="N",
        help="requests in flight, one level after another (1; the UI 4)")  # fmt: skip
    add("--requests", type=int, metavar="N",
        help="measured requests per level (8 x concurrency; the UI: until stopped)")  # fmt: skip
    add("--runs", type=int, metavar="N", default=1,
        help="the whole plan so many times, its levels in another order each time, a recording "
        "each: NAME.1.parquet, … (1)")  # fmt: skip
    add("--rate", type=float, metavar="R",
        help="open loop: arrivals per second, --concurrency of them at once at most")  # fmt: skip
    add("--burstiness", type=float, default=1.0, metavar="X",
        help="with --rate or --ramp: gamma arrivals, 1 is Poisson, less is bursty (1)")  # fmt: skip
    add("--ramp", metavar="A:B",
        help="open loop: arrivals per second from A to B over --max-time")  # fmt: skip
    add("--speed", type=float, default=1.0, metavar="X",
        help="prompts of a file with times arrive so many times as fast (1)")  # fmt: skip
    add("--slo", metavar="T", help="targets in seconds for goodput, as ttft=0.5,tpot=0.05")
    add("--max-time", type=float, metavar="S",
        help="seconds per level at most (none; with --until-ci 120); "
             "--requests ends it too")  # fmt: skip
    add("--until-ci", type=float, metavar="X",
        help="end a level when half the 95 %% confidence interval of its steady throughput is at "
        "most this share of it, as 0.05 (--requests and --max-time end it too)")  # fmt: skip
    add("--prompt-toks", metavar="N",
        help="tokens in (128), or drawn: 64:512, normal:256,64 or lognormal:256,64")  # fmt: skip
    add("--gen-toks", metavar="N", help="tokens out (32; the UI 200), or drawn likewise")
    add("--prompts", metavar="FILE",
        help='from a JSONL file, a line as {"prompt": "...", "output_tokens": 64}')  # fmt: skip
    add("--prefix-toks", type=int, default=0, metavar="N",
        help="every prompt begins with one of --prefixes shared beginnings of N tokens, before "
        "--prompt-toks of its own; prefix caching is then on")  # fmt: skip
    add("--prefixes", type=int, default=1, metavar="K", help="how many beginnings (1)")
    add("--turns", type=int, metavar="N",
        help="conversations of N requests, each with the history (1; of a file its lines' user "
        "turns, and 1 asks each line as it stands)")  # fmt: skip
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
        help="of weights and arithmetic (auto: the checkpoint's)")  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add("--quantize", choices=("none", "int8", "int4"), default="none",
        help="weights of linear layers in 8 or 4 bits; by bitsandbytes, but int8 of bfloat16 on a "
        "CPU by torch")  # fmt: skip
    add("--offload", choices=("none", "cpu", "disk"), default="none",
        help="for a model too large for the device: its weights stay in the host's memory or on "
        "disk, and come layer by layer")  # fmt: skip
    add("--no-tuning", action="store_true",
        help="leave weights as transformers has them; else what is quickest here is measured once, "
        "and on a CPU they are laid out for the processor where that is quicker")  # fmt: skip
    add(
        "--tp",
        type=int,
        default=1,
        metavar="N",
        help="tensor parallel: each layer is shared by N processes, a GPU each (1)",
    )
    add("--seed", type=int, default=0, help="the run can be repeated (0)")
    add("--out", metavar="FILE", help="the recording (recordings/<time>-<model>.parquet)")
    add("--no-save", action="store_true", help="the UI: record nothing")
    add("--record-text", action="store_true", help="keep the generated text in the recording")
    add("--check-oom", action="store_true",
        help="predict first, and stop with the verdict if it cannot fit (exit 3)")  # fmt: skip
    add("--until-oom", action="store_true",
        help="double the concurrency until memory ends, then find the most that works")  # fmt: skip
    add("--until-slo", action="store_true",
        help="raise the concurrency (with --rate: the rate) until --slo is kept by less than "
        "--share of the requests, then find the most that keeps it")  # fmt: skip
    add("--share", type=float, default=0.95, metavar="X",
        help="of a level's requests that shall keep --slo (0.95)")  # fmt: skip
    add("--memory", metavar="SIZE",
        help="the engine may take so much on a CPU, as 2GB (all there is, less 5 %%)")  # fmt: skip
    add("--listen", metavar="HOST:PORT",
        help="this run's figures for Prometheus, as 127.0.0.1:9400 (off)")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout")
    add("--verbose", action="store_true",
        help="tell of each request, and what the engine's libraries print, on stderr")  # fmt: skip
    add("--theme", type=theme, help="the UI's colours")
    _add_servers(parser)
    return parser


def _add_servers(parser: Parser) -> None:
    """What drives servers that run."""
    add = parser.add_argument_group(
        "drive running servers", "instead of a model of our own: --url, and what goes with it"
    ).add_argument
    add("--url", metavar="U", nargs="+", action="extend", default=[],
        help="OpenAI-compatible servers, with or without /v1; several share the load "
        "in turn")  # fmt: skip
    add("--serve", metavar="CMD", action="append", default=[],
        help="start this server, drive it and end it: a command with {model} and {port}, "
        "no shell")  # fmt: skip
    add("--serve-timeout", type=float, metavar="S", default=600.0,
        help="it must be ready within so long (600)")  # fmt: skip
    add("--endpoint", choices=("completions", "chat"), default="completions",
        help="where requests go: /v1/completions, or /v1/chat/completions")  # fmt: skip
    add("--tokenizer", metavar="ID",
        help="a Hugging Face id or a folder: prompts of exact length where the server takes no "
        "token ids")  # fmt: skip
    add("--api-key-env", metavar="NAME",
        help="the variable that holds the servers' key (OPENAI_API_KEY, if set)")  # fmt: skip
    add("--header", metavar="NAME=VARIABLE", action="append", default=[],
        help="a header of every request, its value from a variable; may be repeated")  # fmt: skip
    add("--timeout", type=float, metavar="S", default=60.0,
        help="a request without a token for so long has failed (60)")  # fmt: skip
    add("--client-processes", type=int, metavar="N",
        help="processes that send (as many as are needed)")  # fmt: skip
    add("--alert", action="append", default=[], metavar="'METRIC>X for 30s'",
        help="a limit of what the servers tell, that colours, rings once and is recorded; may be "
        "repeated")  # fmt: skip
    add("--cost-per-hour", type=float, metavar="X",
        help="what the servers cost an hour, together: then what a million tokens cost is "
        "told")  # fmt: skip
