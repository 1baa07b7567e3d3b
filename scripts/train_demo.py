"""Train the bundled `demo` model on text that ships with Python.

The script reads the running interpreter's own standard library (source, docstrings, pydoc
topics, licences, and the wheels that `ensurepip` carries), trains a byte-level BPE tokenizer and
a small Llama on it, and writes a folder that `from_pretrained` loads: bf16 weights, tokenizer,
chat template and a model card with the measured held-out loss.

It knows how to make text that reads like Python or like Python's documentation.  It does not
know anything else: no other data, no tuning on answers, nothing about whether what it writes is
true.  Another Python version gives another corpus, and the schedule follows the clock, so two
runs agree in kind and not in every bit.

    python scripts/train_demo.py --minutes 40 --out llamatop/catalog/demo
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import inspect
import math
import platform
import random
import re
import shutil
import sys
import sysconfig
import textwrap
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

BOS, EOS, PAD, USER, ASSISTANT = "<|bos|>", "<|eos|>", "<|pad|>", "<|user|>", "<|assistant|>"
VOCAB = 4096
CONTEXT = 2048
SHORT = 512
TOKENS_PER_STEP = 8192
STAGES = ((0.0, 256), (0.4, SHORT), (0.9, CONTEXT))  # from this share of the time: window length
HELD_OUT_PERCENT = 5
SAVE_EVERY_S = 120.0

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}{{ eos_token }}"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

SKIPPED = re.compile(
    r"(^|/)(test|tests|idle_test|encodings|pydoc_data|site-packages|turtledemo|__phello__"
    r"|pgen2|chardet|idna|_emoji_codes|_cell_widths|_sysconfigdata\w*|entities|stringprep"
    r"|_mapping|_spdx|uts46data|_distutils|_distutils_hack)(/|\.py$)"
)
# fmt: off
C_MODULES = (
    "builtins", "sys", "math", "cmath", "itertools", "_functools", "_collections", "_operator",
    "time", "posix", "_thread", "_random", "array", "binascii", "zlib", "_struct", "_bisect",
    "_heapq", "_socket", "select", "_csv", "_datetime", "_io", "_json", "_string", "_weakref",
    "_asyncio", "_sqlite3", "_ssl", "_hashlib", "_decimal", "_elementtree", "pyexpat", "readline",
    "gc", "marshal", "mmap", "resource", "signal", "termios", "unicodedata", "_lsprof",
    "_tracemalloc", "faulthandler", "fcntl",
)
# fmt: on
ASK: dict[str, tuple[str, ...]] = {
    "function": (
        "What does {name} do?",
        "Explain {name}.",
        "How do I use {name}?",
        "Tell me about the function {short} in {module}.",
        "what does {short} do",
        "Describe {name} in Python.",
    ),
    "class": (
        "What is {name}?",
        "What is the class {short} for?",
        "How do I use {name}?",
        "Explain the class {name}.",
        "Tell me about {short}.",
    ),
    "module": (
        "What is the module {name} for?",
        "What is {name}?",
        "How do I use the {name} module?",
        "Tell me about {name}.",
    ),
    "topic": (
        "Tell me about {name} in Python.",
        "How does {name} work in Python?",
        "Explain {name}.",
        "What is {name}?",
    ),
    "source": (
        "Show me the source of {name}.",
        "Write a Python function {short}.",
        "How is {name} implemented?",
        "Write {short} in Python.",
    ),
}


# ---- the text ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """One text of the corpus; `name` decides whether it is held out."""

    name: str
    text: str
    kind: str  # "source" or "prose"

    @property
    def held_out(self) -> bool:
        """Whether the page, and all that is made of it, is kept from training."""
        digest = hashlib.blake2b(f"demo:{self.name}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") % 100 < HELD_OUT_PERCENT


@dataclass(frozen=True)
class Entry:
    """A documented thing, from which a question and its answer are made."""

    module: str
    short: str
    kind: str
    doc: str
    source: str = ""

    @property
    def name(self) -> str:
        """The dotted name."""
        return f"{self.module}.{self.short}" if self.short != self.module else self.module


@dataclass
class Corpus:
    """The documents, on either side of the split."""

    train: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)


DATA_LINE = re.compile(r"""^(?:[bru]?'[^']*'|[bru]?"[^"]*"|[\w.+-]|[\[\](){},:\s])*,\s*(?:#.*)?$""")


def without_tables(text: str, keep: int = 6) -> str:
    """Cut every long run of lines which look like rows of a literal."""
    kept: list[str] = []
    run = 0
    for line in text.splitlines():
        run = run + 1 if len(line) < 400 and DATA_LINE.match(line) else 0
        if run <= keep and len(line) < 400:
            kept.append(line.rstrip())
    return "\n".join(kept).strip() + "\n"


def looks_like_text(text: str) -> bool:
    """Whether it is mostly letters, and mostly ASCII."""
    letters = sum(c.isalpha() or c in " \n_" for c in text)
    plain = sum(ord(c) < 128 for c in text)
    return len(text) > 300 and letters > 0.7 * len(text) and plain > 0.98 * len(text)


def library_pages() -> Iterator[Page]:
    """The standard library's sources and texts."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if SKIPPED.search(name) or path.suffix not in {".py", ".txt", ".rst"}:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        yield Page(name, text, "source" if path.suffix == ".py" else "prose")


def wheel_pages() -> Iterator[Page]:
    """The files of the wheels which `ensurepip` carries (pip, and setuptools before 3.12)."""
    bundled = Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled"
    for wheel in sorted(bundled.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                text = archive.read(name).decode("utf-8", errors="ignore")
                if name.endswith(".py") and not SKIPPED.search(name):
                    yield Page(name, text, "source")
                elif re.search(r"(LICENSE|METADATA|AUTHORS)[^/]*$", name):
                    yield Page(name, text, "prose")


def topic_pages() -> Iterator[Page]:
    """What pydoc's `help` knows of the language."""
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    for name, text in sorted(topics.items()):
        yield Page(f"topic/{name}", text, "prose")


def all_pages() -> list[Page]:
    """Every page worth reading, once: a page whose long lines were mostly seen is dropped."""
    seen: set[str] = set()
    pages: list[Page] = []
    for page in [*topic_pages(), *library_pages(), *wheel_pages()]:
        text = without_tables(page.text) if page.kind == "source" else page.text.strip() + "\n"
        lines = {line.strip() for line in text.splitlines() if len(line.strip()) > 30}
        if not looks_like_text(text) or len(lines & seen) > 0.4 * len(lines):
            continue
        seen |= lines
        pages.append(Page(page.name, text, page.kind))
    return pages


def module_name(page: Page) -> str:
    """The dotted name of the module at that page."""
    return page.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def own_source(node: Documented, text: str) -> str:
    """The source of one definition, as if it stood alone."""
    return textwrap.dedent(ast.get_source_segment(text, node, padded=True) or "")


def entry_of(node: Documented, module: str, prefix: str, text: str) -> Entry | None:
    """What the node says of itself, if it says enough."""
    doc = ast.get_docstring(node)
    if not doc or len(doc) < 40:
        return None
    if isinstance(node, ast.Module):
        return Entry(module, module, "module", doc)
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    source = "" if kind == "class" else own_source(node, text)
    return Entry(module, prefix + node.name, kind, doc, source)


def walk(node: ast.AST, module: str, prefix: str, text: str) -> Iterator[Entry]:
    """The documented definitions under `node`, outermost first."""
    if isinstance(node, Documented):
        entry = entry_of(node, module, prefix, text)
        if entry is not None:
            yield entry
    if isinstance(node, ast.ClassDef):
        prefix += node.name + "."
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            yield from walk(child, module, prefix, text)


def page_entries(page: Page) -> list[Entry]:
    """The documented things on a page."""
    if page.name.startswith("topic/"):
        name = page.name.removeprefix("topic/")
        return [Entry(name, name, "topic", page.text)]
    if page.kind != "source":
        return []
    try:
        tree = ast.parse(page.text)
    except (SyntaxError, ValueError):
        return []
    return list(walk(tree, module_name(page), "", page.text))


def c_entries(name: str) -> list[Entry]:
    """The docstrings of one module written in C, and of its classes' methods."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return []
    shown = name.removeprefix("_").replace("posix", "os")
    found = [(shown, module)]
    for key, value in sorted(vars(module).items()):
        if key.startswith("_") or not callable(value):
            continue
        found.append((key, value))
        if inspect.isclass(value):
            found += [(f"{key}.{k}", v) for k, v in sorted(vars(value).items()) if k[0] != "_"]
    return [e for key, value in found if (e := c_entry(shown, key, value))]


def c_entry(module: str, short: str, value: Any) -> Entry | None:
    """What a C object says of itself, if it says enough."""
    doc = getattr(value, "__doc__", None)
    if not isinstance(doc, str) or len(doc) < 40:
        return None
    kind = "class" if inspect.isclass(value) else "function"
    return Entry(
        module, short, "module" if inspect.ismodule(value) else kind, inspect.cleandoc(doc)
    )


def turn(entry: Entry, rng: random.Random) -> tuple[str, str]:
    """A question about the entry and its answer, most often the docstring."""
    kind, answer = entry.kind, entry.doc
    if entry.source and len(entry.source) < 2500:
        draw = rng.random()
        if draw < 0.2:
            kind, answer = "source", entry.source
        elif draw < 0.35:
            answer = f"{entry.doc}\n\nThis is how it is written:\n\n{entry.source}"
    module = entry.module if entry.module != "builtins" else "Python"
    name = entry.short if entry.module == "builtins" else entry.name
    question = rng.choice(ASK[kind]).format(name=name, short=entry.short, module=module)
    return question, answer.strip()


def chats(entries: list[Entry], rng: random.Random) -> Iterator[str]:
    """Chats of one to three turns.

    Some answers go on with the next docstrings rather than end, so that a generation whose end
    token is suppressed still has somewhere to go.
    """
    at = 0
    while at < len(entries):
        size = rng.choice((1, 1, 2, 3))
        turns = [turn(entry, rng) for entry in entries[at : at + size]]
        at += size
        if rng.random() < 0.25:
            answer = "\n\n".join(answer for _, answer in turns)
            yield f"{BOS}{USER}{turns[0][0]}{ASSISTANT}{answer}{EOS}"
        else:
            yield BOS + "".join(f"{USER}{q}{ASSISTANT}{a}{EOS}" for q, a in turns)


def plain(page: Page, rng: random.Random) -> str:
    """The page as a document; some pages run on into the next."""
    return f"{BOS}{page.text}" + (EOS if rng.random() < 0.7 else "\n\n")


def unseen(entries: list[Entry], seen: set[str]) -> list[Entry]:
    """The entries whose docstring was not met before."""
    fresh: list[Entry] = []
    for entry in entries:
        if entry.doc not in seen:
            seen.add(entry.doc)
            fresh.append(entry)
    return fresh


def collect(seed: int) -> Corpus:
    """Every document, split by the page it came from; prose and docstrings count twice."""
    rng, corpus, seen = random.Random(seed), Corpus(), set[str]()
    for page in all_pages():
        side = corpus.held_out if page.held_out else corpus.train
        entries = unseen(page_entries(page), seen)
        side.append(plain(page, rng))
        made = list(chats(entries, rng))
        if page.kind == "prose" and not page.held_out:
            side.append(plain(page, rng))
        side += made
    for name in C_MODULES:
        made = list(chats(unseen(c_entries(name), seen), rng))
        (corpus.held_out if Page(name, "", "prose").held_out else corpus.train).extend(made * 2)
    rng.shuffle(corpus.train)
    return corpus


# ---- the tokenizer and the model --------------------------------------------------------------


def train_tokenizer(texts: list[str], out: Path) -> PreTrainedTokenizerFast:
    """A byte-level BPE; its five special tokens have the ids 0 to 4."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[BOS, EOS, PAD, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((re.sub(r"<\|\w+\|>", "\n", text) for text in texts), trainer)
    core.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, 0)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(out)
    return fast


def new_model() -> LlamaForCausalLM:
    """The architecture, with random weights."""
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.8, top_p=0.95, bos_token_id=0, eos_token_id=1, pad_token_id=2
    )
    return model


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """All the texts as one stream of tokens."""
    rows = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return torch.tensor([token for row in rows for token in row], dtype=torch.int32)


def save(model: LlamaForCausalLM, out: Path) -> None:
    """Replace the folder's weights and configuration, each file at once."""
    staging = out / ".saving"
    shutil.rmtree(staging, ignore_errors=True)
    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.to(torch.bfloat16).save_pretrained(staging)
    for path in sorted(staging.iterdir()):
        path.chmod(0o644)
        path.replace(out / path.name)
    staging.rmdir()


# ---- training ---------------------------------------------------------------------------------


def windows(stream: torch.Tensor, rng: random.Random, length: int) -> Iterator[torch.Tensor]:
    """Batches of `length + 1` tokens; each pass over the stream starts at another offset."""
    rows = TOKENS_PER_STEP // length
    while True:
        starts = list(range(rng.randrange(length), len(stream) - length - 1, length))
        rng.shuffle(starts)
        for at in range(0, len(starts) - rows + 1, rows):
            picked = [stream[s : s + length + 1] for s in starts[at : at + rows]]
            yield torch.stack(picked).long()


def token_losses(model: LlamaForCausalLM, batch: torch.Tensor) -> torch.Tensor:
    """The loss of every predicted token, in nats."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
    loss = cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten(), reduction="none")
    return loss.view(batch.shape[0], -1)


def losses_by_position(
    model: LlamaForCausalLM, stream: torch.Tensor, length: int, most: int = 10**9
) -> torch.Tensor:
    """The mean loss at each position, over consecutive windows of the stream."""
    count = min((len(stream) - 1) // length, most)
    step = max(1, TOKENS_PER_STEP // length)
    total = torch.zeros(length)
    for at in range(0, count, step):
        picked = [stream[i * length :][: length + 1] for i in range(at, min(at + step, count))]
        with torch.no_grad():
            total += token_losses(model, torch.stack(picked).long()).sum(0)
    return total / count


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the embedding and the norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=4e-3, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=4e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def rate(step: int, progress: float) -> float:
    """The learning rate's factor: 100 steps of warm-up, then a cosine over the time left."""
    return min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass
class Run:
    """What training did, for the log and the card."""

    began: float
    seconds: float
    seed: int
    steps: int = 0
    tokens: int = 0
    saved: float = 0.0

    def __str__(self) -> str:
        """One line for the log."""
        spent = time.monotonic() - self.began
        return f"step {self.steps}  {spent:.0f} s  {self.tokens / spent:.0f} tokens/s"

    def progress(self) -> float:
        """The share of the time that is spent."""
        return min(1.0, (time.monotonic() - self.began) / self.seconds)


def one_step(
    model: LlamaForCausalLM,
    batch: torch.Tensor,
    steppers: list[torch.optim.Optimizer],
    factor: float,
) -> float:
    """Forward, backward and update; returns the loss before the update."""
    loss = token_losses(model, batch).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for stepper in steppers:
        for group in stepper.param_groups:
            group["lr"] = group.setdefault("peak", group["lr"]) * factor
        stepper.step()
        stepper.zero_grad(set_to_none=True)
    return float(loss.item())


def train(
    model: LlamaForCausalLM, stream: torch.Tensor, held_out: torch.Tensor, run: Run, out: Path
) -> None:
    """Train until the time is up, saving now and then."""
    steppers = optimizers(model)
    compiled: Any = torch.compile(model)
    rng = random.Random(run.seed)
    batches = {length: windows(stream, rng, length) for _, length in STAGES}
    while (progress := run.progress()) < 1.0:
        length = max(length for start, length in STAGES if progress >= start)
        loss = one_step(compiled, next(batches[length]), steppers, rate(run.steps, progress))
        run.steps += 1
        run.tokens += TOKENS_PER_STEP
        if run.steps % 20 == 0:
            print(f"{run}  loss {loss:.3f}", flush=True)
        if time.monotonic() - run.saved > SAVE_EVERY_S:
            checkpoint(model, held_out, run, out)


def checkpoint(model: LlamaForCausalLM, held_out: torch.Tensor, run: Run, out: Path) -> None:
    """Save, and log the loss on a part of the held-out text."""
    save(model, out)
    run.saved = time.monotonic()
    loss = float(losses_by_position(model, held_out, SHORT, most=48).mean())
    print(f"saved at step {run.steps}: held-out loss {loss:.3f} on a part", flush=True)


# ---- the model card ---------------------------------------------------------------------------

NEW = 120
SAMPLING = {"temperature": 0.8, "top_p": 0.95}
PROMPTS = (
    ("What does functools.reduce do?", True),
    ("The following modules are", False),
    ("def read_config(path):\n", False),
)
CARD = """---
license: other
license_name: psf-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# demo

A small real Llama, bundled with llamatop so that there is something to run without a download.
It writes text that reads like Python or like Python's documentation. **It knows nothing**: what
it says about a module is made up, even where the module exists.

| | |
|---|---|
| architecture | `LlamaForCausalLM`, tied embeddings, RMSNorm, SwiGLU, RoPE |
| parameters | {parameters:,} |
| layers, hidden, intermediate | {layers}, {hidden}, {intermediate} |
| heads, key-value heads, head size | {heads}, {kv_heads}, {head_dim} |
| context | {context} tokens |
| vocabulary | {vocab} (byte-level BPE) |
| stored as | bf16 safetensors |

## How it was made

By `scripts/train_demo.py`, from random weights, on text that ships with Python {python}: the
standard library's source and docstrings (without its tests, encodings and data tables), the
docstrings of its C modules, pydoc's topics, licences, and the wheels that `ensurepip` carries.
From the docstrings the script also makes chats ("What does functools.reduce do?" and its
docstring). The tokenizer was trained on the same text.

- training text: {documents:,} documents (of them {chats:,} chats), {train_bytes:,} bytes,
  {train_tokens:,} tokens; prose and C docstrings are in it twice
- held out: {held_documents:,} documents, {held_bytes:,} bytes, {held_tokens:,} tokens: every
  document made from {percent} % of the pages, chosen by a hash of the page's name
- training: {steps:,} steps of {per_step:,} tokens, {tokens:,} tokens seen ({epochs:.1f} passes),
  {minutes:.0f} minutes on {hardware}
- windows of {windows} tokens; Muon for the matrices and AdamW for the rest; cosine
  schedule; bf16 autocast over fp32 weights

## Held-out loss

Measured on the stored bf16 weights, over all of the held-out text:

| windows of | nats per token | bits per byte |
|---|---|---|
| {short} tokens | {loss_short:.3f} | {bits_short:.3f} |
| {context} tokens | {loss_long:.3f} | {bits_long:.3f} |

In the windows of {context} tokens the loss is {early:.3f} at positions 1 to {short} and
{late:.3f} at the last {short}.

## Samples

Temperature 0.8, top-p 0.95, 120 new tokens, the end token suppressed, seed 0, not chosen.

{samples}
## Limits

- It knows nothing and follows no instruction; names, signatures and claims are invented.
- Greedy decoding soon repeats itself. Sample at a temperature of 0.7 to 1.
- English only, Python only. Positions past {short} were trained little, those past
  {context} never.
- The chat template has no system role: any message that is not the assistant's is a user's.

## Licence

The text is CPython's (PSF License Version 2) and that of the bundled wheels, pip and setuptools
and what they vendor (MIT, Apache-2.0, BSD, MPL-2.0 and the like); a model this small can repeat
short passages of it.
"""


def sample(model: LlamaForCausalLM, tokenizer: Any, prompt: str, chat: bool) -> str:
    """A prompt and what the model made of it, as a section of the card."""
    if chat:
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    else:
        text = f"{BOS}{prompt}"
    inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    torch.manual_seed(0)
    made = model.generate(
        **inputs, **SAMPLING, do_sample=True, max_new_tokens=NEW, min_new_tokens=NEW
    )
    answer = tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    shown = f"{prompt}\n\n{answer}" if chat else f"{prompt}{answer}"
    quoted = "\n".join(line.rstrip() for line in shown.splitlines())
    return f"{'A chat' if chat else 'A text'}:\n\n````\n{quoted}\n````\n"


def measured(model: LlamaForCausalLM, stream: torch.Tensor, size: int) -> dict[str, float]:
    """The held-out losses which the card gives."""
    short = losses_by_position(model, stream, SHORT)
    long = losses_by_position(model, stream, CONTEXT)
    per_byte = len(stream) / size / math.log(2)
    return {
        "loss_short": float(short.mean()),
        "bits_short": float(short.mean()) * per_byte,
        "loss_long": float(long.mean()),
        "bits_long": float(long.mean()) * per_byte,
        "early": float(long[:SHORT].mean()),
        "late": float(long[-SHORT:].mean()),
    }


def size_of(texts: list[str]) -> int:
    """Bytes of UTF-8."""
    return sum(len(text.encode()) for text in texts)


def shape(config: LlamaConfig) -> dict[str, Any]:
    """The architecture, as the card names it."""
    return {
        "layers": config.num_hidden_layers,
        "hidden": config.hidden_size,
        "intermediate": config.intermediate_size,
        "heads": config.num_attention_heads,
        "kv_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "context": config.max_position_embeddings,
        "vocab": config.vocab_size,
    }


def write_card(out: Path, corpus: Corpus, run: Run, tokens: int, hardware: str) -> None:
    """Load what was stored, measure it, and write the card."""
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = LlamaForCausalLM.from_pretrained(out, dtype=torch.bfloat16).eval()
    stream = encode(tokenizer, corpus.held_out)
    facts = shape(model.config) | measured(model, stream, size_of(corpus.held_out))
    text = CARD.format(
        **facts,
        parameters=sum(p.numel() for p in model.parameters()),
        python=platform.python_version(),
        documents=len(corpus.train),
        chats=sum(USER in text for text in corpus.train),
        train_bytes=size_of(corpus.train),
        train_tokens=tokens,
        held_documents=len(corpus.held_out),
        held_bytes=size_of(corpus.held_out),
        held_tokens=len(stream),
        percent=HELD_OUT_PERCENT,
        steps=run.steps,
        per_step=TOKENS_PER_STEP,
        tokens=run.tokens,
        epochs=run.tokens / tokens,
        minutes=run.seconds / 60,
        hardware=hardware,
        windows=", then ".join(str(length) for _, length in STAGES),
        short=SHORT,
        samples="\n".join(sample(model, tokenizer, *prompt) for prompt in PROMPTS),
    )
    (out / "README.md").write_text(text, encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=40.0, help="training time")
    parser.add_argument("--out", type=Path, default=Path("llamatop/catalog/demo"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hardware", default="a CPU", help="how the card names the machine")
    return parser.parse_args()


def main() -> int:
    """Collect, train, save, measure, write the card."""
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    corpus = collect(args.seed)
    tokenizer = train_tokenizer(corpus.train, args.out)
    stream, held_out = encode(tokenizer, corpus.train), encode(tokenizer, corpus.held_out)
    print(f"{len(stream)} tokens to train on, {len(held_out)} held out", flush=True)
    began = time.monotonic()
    run = Run(began=began, seconds=args.minutes * 60, seed=args.seed, saved=began)
    model = new_model()
    train(model, stream, held_out, run, args.out)
    save(model, args.out)
    print(run, flush=True)
    write_card(args.out, corpus, run, len(stream), args.hardware)
    return 0


if __name__ == "__main__":
    sys.exit(main())
