"""The models that llamatop knows without asking anyone: architectures, and the bundled demo.

Reads JSON from the package and nothing else; knows neither torch nor the Hub, and has no weights
but the demo's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_HERE = Path(__file__).parent
_ARCHITECTURES = _HERE / "architectures"


class KnownModel(msgspec.Struct, frozen=True):
    """A published model's figures; sizes are counts of parameters, or bytes where they say so."""

    id: str = msgspec.field(name="model")
    config: str
    """Its configuration's file name; see `path`."""
    parameters: int
    """The whole checkpoint, tied weights once."""
    decode_read_parameters: int
    """Those that one decode step of one request reads."""
    kv_bytes_per_token: int
    """All layers, in the 16 bits of `dtype`."""
    dtype: str
    gated: bool
    """Its owner wants a licence accepted before a download."""

    @property
    def path(self) -> Path:
        """The file with its configuration, as on the Hub."""
        return _ARCHITECTURES / self.config

    def architecture(self) -> dict[str, Any]:
        """Its `config.json`."""
        return dict(msgspec.json.decode(self.path.read_bytes()))

    @property
    def context(self) -> int:
        """Longest prompt and output together, in tokens."""
        config = self.architecture()
        return int(config.get("text_config", config)["max_position_embeddings"])


@cache
def known_models() -> tuple[KnownModel, ...]:
    """Every built-in architecture, smallest first."""
    facts = (_ARCHITECTURES / "facts.json").read_bytes()
    return tuple(sorted(msgspec.json.decode(facts, type=list[KnownModel]), key=_size))


def find(model: str) -> KnownModel | None:
    """The built-in architecture of exactly this Hugging Face id, or None."""
    return next((known for known in known_models() if known.id == model), None)


def coefficients_file(model: str) -> Path | None:
    """What the tracer once said of a built-in architecture or the demo; None: there is no such."""
    known = find(model)
    name = f"{model}.json" if model == "demo" else known.config if known else None
    return _HERE / "coefficients" / name if name else None


def ledger_folder() -> Path:
    """Where ledgers of configs are, each named by the config's fingerprint."""
    return _HERE / "ledgers"


def demo_folder() -> Path:
    """The folder of the bundled demo model: configuration, tokenizer and weights."""
    return _HERE / "demo"


def _size(model: KnownModel) -> int:
    return model.parameters
