"""What is told of a config that was traced before, without the libraries of models.

A ledger is found by what a config says, whatever it is called or wherever it lies. It speaks for
one version of torch and of transformers; `scripts/trace_catalog.py` makes them. Figures are those
of the tracer, to the byte (`tests/predict/test_answers.py`).
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from llamatop.catalog import ledger_folder
from llamatop.engines import quantization
from llamatop.hardware import nvidia
from llamatop.hardware.kept import version_of
from llamatop.predict.furthest import furthest
from llamatop.predict.ledger import Ledger
from llamatop.predict.traced import Ask, Peak, Shape, Trace

LIBRARIES = ("torch", "transformers")
ABOUT = ("_name_or_path", "transformers_version")
"""What a config says that no model is built of."""


class Answer(msgspec.Struct, frozen=True):
    """To one question, but for shapes: a trace without peaks, and the ledger they are read off."""

    trace: Trace
    rounding: int
    ledger: int
    """Its place in `Shipped.ledgers`."""


class Shipped(msgspec.Struct, frozen=True):
    """Of one config."""

    model: str
    """One that has it."""
    made_by: dict[str, str]
    """Versions of the libraries, by name."""
    ledgers: tuple[Ledger, ...]
    answers: dict[str, Answer]
    """By `key_of` their questions."""


class Recalled:
    """One answer, and the peaks of any shape."""

    def __init__(self, trace: Trace, ledger: Ledger, made_by: dict[str, str]) -> None:
        """`ledger` rounds as that device's allocator."""
        by = " and ".join(f"{name} {number}" for name, number in made_by.items())
        self.trace = msgspec.structs.replace(trace, told_from=f"traced before, by {by}")
        self._ledger = ledger
        self._known: dict[Shape, Peak] = {}

    def peak(self, shape: Shape) -> Peak:
        """The peak of generating that shape. Raises LookupError where the ledger has no way."""
        if shape not in self._known:
            self._known[shape] = self._ledger.peak(shape)
        return self._known[shape]


def answered(question: Ask) -> Trace | None:
    """What the tracer would say; None: only it knows."""
    found = recalled(question)
    try:
        return None if found is None else complete(question, found)
    except LookupError:
        return None


def complete(question: Ask, found: Recalled) -> Trace:
    """With all peaks that are asked for. Raises LookupError where one is not known."""
    peaks = tuple(map(found.peak, question.shapes))
    trace = msgspec.structs.replace(found.trace, peaks=peaks)
    if question.reach is None:
        return trace
    return furthest(trace, found, question.reach, question.device)


def recalled(question: Ask) -> Recalled | None:
    """What ships of the model asked about; None: nothing, or nothing by what is installed here.

    An accelerator that is here is asked by the tracer, and so are threads, whose ways it draws.
    """
    shipped = None if question.crowds else _shipped(file_of(question.architecture))
    answer = shipped.answers.get(key_of(question)) if shipped else None
    if shipped is None or answer is None or not _speaks(shipped):
        return None
    if question.device != "cpu" and nvidia.open_nvml() is not None:
        return None
    ledger = msgspec.structs.replace(shipped.ledgers[answer.ledger], rounding=answer.rounding)
    return Recalled(answer.trace, ledger, shipped.made_by)


def file_of(architecture: dict[str, Any]) -> str:
    """Named by the fingerprint of what a config says of its model."""
    return f"{_digest(_about_left_out(architecture))}.json.gz"


def key_of(question: Ask) -> str:
    """Of what an answer rests on beside the config. Where an accelerator's kernels decide nothing
    it does not matter which it is."""
    stored = quantization.find(question.architecture, question.beside)
    packed = question.checkpoint and stored is not None
    kernels = question.capability if packed else None
    how = (question.dtype, question.device, question.layers, question.quantize, kernels)
    return _digest((*how, question.checkpoint, question.beside, _about_left_out(question.sampling)))


@cache
def _shipped(name: str) -> Shipped | None:
    path: Path = ledger_folder() / name
    if not path.is_file():
        return None
    return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Shipped)


def _speaks(shipped: Shipped) -> bool:
    """Whether those libraries made it that are installed, or none is."""
    return all(public(name) in ("none", made) for name, made in shipped.made_by.items())


def public(name: str) -> str:
    """The version of a package, whatever it was built for."""
    return version_of(name).partition("+")[0]


def _about_left_out(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in ABOUT}


def _digest(what: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()[:16]
