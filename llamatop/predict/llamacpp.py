"""What llama.cpp's server takes in memory for a GGUF model: part by part, without starting it.

As `llama-server -np SLOTS -c ALL` of build 11549 does it on a CPU (AVX2), each slot full
for the first time. What its server keeps of prompts that ended (`--cache-ram`) comes on top. The
buffers follow its own sizes; what of this is measured stands in `docs/prediction.md`. Arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from llamatop.catalog.gguf import Gguf, Tensor
from llamatop.predict.gguf_caches import Caches, caches, each_layer, whole
from llamatop.predict.memory import Prediction

MIB = 2**20
UBATCH = 512
"""Tokens of a step of prefill (`--ubatch-size`)."""
CELLS = 256
"""A slot's context and the cells that a step looks at are whole multiples of so many."""
MAX_SLOTS = 256
RUNTIME_BYTES = 40_600_000
"""Measured: program and libraries 23.6 MiB, the process beside its vocabulary 15.1."""
BPE_BYTES = 2 * MIB
"""Measured: what cutting text by merges takes besides them."""
SLOT_BYTES = 480_000
"""Measured, of each slot: its texts, threads and queue."""
TOKEN_BYTES, MERGE_BYTES, CANDIDATE_BYTES = 227, 210, 8
"""Measured: of each token of the vocabulary, of each merge, and of each token for each slot."""
CONTEXT_BYTES = 450_000_000
"""Of CUDA, besides; not measured with llama.cpp."""
CHECKPOINT_EVERY = 8192
"""Tokens of a prompt between two copies of what windows and states would forget."""
CHECKPOINTS = 32
"""At most, of each slot."""
MAX_TOKENS = 1 << 32
_REPACKED = {"q4_0", "q4_K", "iq4_nl", "mxfp4"}
"""Types of matrices that a CPU with AVX2 holds a second time, in another order."""
_WIDENED = {"f32": 0.0, "f16": 2.0, "bf16": 2.0}
"""Bytes in which a product copies each number of its other operand; of quantised ones 1.14."""


@dataclass(frozen=True)
class Server:
    """One model in llama.cpp's server."""

    gguf: Gguf
    cache_type: str
    device: str

    @cached_property
    def caches(self) -> Caches:
        """Of each slot."""
        return caches(self.gguf, self.cache_type)

    def peak(self, slots: int, prompt: int, output: int) -> Prediction:
        """Of so many slots, each with its request."""
        context = padded(prompt + output)
        parts = {
            "weights": self.weights_bytes,
            "kv cache": slots * self.slot_bytes(context),
            "activations": self._compute_bytes(slots, context) + self._work_bytes,
            "checkpoints": slots * self._checkpoint_bytes(prompt),
            "runtime": self._runtime_bytes(slots),
        }
        if self.device != "cpu":
            parts["context"] = CONTEXT_BYTES
        parts = {name: size for name, size in parts.items() if size}
        total = sum(parts.values())
        if self.device == "cpu":
            return Prediction(total, None, parts)
        return Prediction(None, total - CONTEXT_BYTES, parts)

    @cached_property
    def weights_bytes(self) -> int:
        """Resident: on a CPU the mapped file from the first to the last tensor that is read
        there, and matrices in another order; on a GPU all but the embedding table."""
        if self.device != "cpu":
            return sum(one.bytes for one in self.gguf.tensors if not self._is_looked_up(one))
        again = [one for one in self.gguf.tensors if self._is_repacked(one)]
        copies = {id(one) for one in again if not self._is_tied(one)}
        read = [one for one in self.gguf.tensors if id(one) not in copies]
        return sum(one.bytes for one in again) + _mapped(self.gguf, read)

    def slot_bytes(self, context: int) -> int:
        """Caches and states of a slot; windowed layers hold a window and a step of prefill."""
        kept = self.caches
        cells = (
            (kind.count * kind.kv_bytes_per_token, _cells(kind.window, context))
            for kind in kept.kinds
        )
        return sum(size * count for size, count in cells) + kept.state_bytes

    @property
    def _tied(self) -> bool:
        return all(one.name != "output.weight" for one in self.gguf.tensors)

    def _is_tied(self, tensor: Tensor) -> bool:
        """It is looked up, and the output matrix besides."""
        return tensor.name == "token_embd.weight" and self._tied

    def _is_looked_up(self, tensor: Tensor) -> bool:
        return tensor.name.endswith("token_embd.weight") and not self._tied

    def _is_repacked(self, tensor: Tensor) -> bool:
        matrix = len(tensor.shape) > 1 and tensor.shape[1] % 8 == 0
        return tensor.type.name in _REPACKED and matrix and not self._is_looked_up(tensor)

    @cached_property
    def _vocabulary(self) -> int:
        shapes = (one.shape for one in self.gguf.tensors if one.name == "token_embd.weight")
        return next((shape[1] for shape in shapes if len(shape) > 1), 0)

    def _runtime_bytes(self, slots: int) -> int:
        lengths = self.gguf.lengths
        words = lengths.get("tokenizer.ggml.tokens", 0) * TOKEN_BYTES
        if merges := lengths.get("tokenizer.ggml.merges", 0):
            words += merges * MERGE_BYTES + BPE_BYTES
        each = SLOT_BYTES + self._vocabulary * (CANDIDATE_BYTES + 4)  # and its scores
        return RUNTIME_BYTES + words + slots * each

    def _compute_bytes(self, slots: int, context: int) -> int:
        """The largest of what a step of prefill holds: in the MLP, in attention, as scores."""
        hidden, (width, shared), experts = self._hidden, self._attention, self._experts
        mlp = 3 * self._intermediate * max(experts, 1)
        attention = 2 * (width + shared)
        held = 4 * UBATCH * max(5 * hidden + max(mlp, attention, experts * hidden), 0)
        scores = 4 * (slots * self._vocabulary + UBATCH * 5 * hidden)
        windows = {kind.window for kind in self.caches.kinds}
        masks = sum(2 * UBATCH * _cells(window, context) for window in windows)
        return max(held, scores) + masks

    @cached_property
    def _work_bytes(self) -> int:
        """Where a product puts its other operand in the type that it multiplies by."""
        if self.device != "cpu":
            return 0
        sizes = (
            one.shape[0]
            * _WIDENED.get(one.type.name, 1.14)
            * (self._experts if "down_exps" in one.name else 1)
            for one in self.gguf.tensors
            if len(one.shape) > 1
        )
        return round(UBATCH * max(sizes, default=0))

    def kept_bytes(self, prompt: int, output: int) -> int:
        """What the server keeps of each prompt that has ended, until `--cache-ram` is full."""
        kept = self.caches
        grown = (
            kind.count * kind.kv_bytes_per_token * min(kind.window or MAX_TOKENS, prompt + output)
            for kind in kept.kinds
        )
        return sum(grown) + kept.state_bytes + self._checkpoint_bytes(prompt)

    def _checkpoint_bytes(self, prompt: int) -> int:
        """Two near the end of a prompt, and one each so many tokens, where it is forgotten."""
        between = range(CHECKPOINT_EVERY, prompt, CHECKPOINT_EVERY)
        places = [prompt, max(prompt - UBATCH, 0), *between][:CHECKPOINTS]
        return sum(self._forgotten_bytes(place) for place in places if place)

    def _forgotten_bytes(self, tokens: int) -> int:
        """What a copy holds after so many tokens: the windows, and the states."""
        kept = self.caches
        windowed = sum(
            kind.count * kind.kv_bytes_per_token * min(kind.window, tokens)
            for kind in kept.kinds
            if kind.window
        )
        return kept.state_bytes + windowed

    @cached_property
    def _hidden(self) -> int:
        return whole(self.gguf, "embedding_length")

    @cached_property
    def _intermediate(self) -> int:
        name = "expert_feed_forward_length" if self._experts else "feed_forward_length"
        if self.gguf.of(name) is None:
            name = "feed_forward_length"
        layers = range(whole(self.gguf, "block_count"))
        widest = max((each_layer(self.gguf, name, n, 0) for n in layers), default=0)
        return max(widest, whole(self.gguf, "ssm.inner_size", 0))

    @cached_property
    def _experts(self) -> int:
        """Of those, that a token uses; 0: there are none."""
        return whole(self.gguf, "expert_used_count", 0)

    @cached_property
    def _attention(self) -> tuple[int, int]:
        """The widest queries of a layer, and the widest keys."""
        found = {"attn_q": 0, "attn_k": 0}
        for one in self.gguf.tensors:
            name = one.name.rsplit(".", 2)[-2] if one.name.count(".") > 1 else ""
            if name in found and len(one.shape) > 1:
                found[name] = max(found[name], one.shape[1])
        return found["attn_q"], found["attn_k"]


def padded(tokens: int) -> int:
    """A slot's context that holds so many."""
    return -(-tokens // CELLS) * CELLS


def _cells(window: int | None, context: int) -> int:
    return context if window is None else min(context, padded(window + UBATCH))


def _mapped(gguf: Gguf, read: list[Tensor]) -> int:
    """Of one file: from its first to its last tensor that is read. Of parts, all of them."""
    if len(gguf.files) > 1:
        return gguf.file_bytes
    return max(one.place + one.bytes for one in read) - min(one.place for one in read)
