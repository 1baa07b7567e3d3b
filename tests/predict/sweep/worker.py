"""Asks `check`'s own code of one small config after another, and looks at the real model.

Reads names of types as arguments, writes a JSON object a line. A process of its own, since a
model may hang or end it.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

from llamatop.errors import InputError
from llamatop.settings.config import RunConfig

SECONDS = 60
"""Of a processor, given to one type: a busy machine takes longer."""


class TooLong(BaseException):
    """A type took longer than its share; no `except Exception` of a model's hides it."""


def main(kinds: list[str]) -> None:
    warnings.filterwarnings("ignore")
    out = sys.stdout
    sys.stdout = sys.stderr
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    signal.signal(signal.SIGPROF, _too_long)
    for kind in kinds:
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            row = look(kind)
        except TooLong:
            row = {"note": "took too long"}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        row |= {"type": kind, "seconds": round(time.monotonic() - began, 1)}
        print(json.dumps(row), file=out, flush=True)


def _too_long(*_: Any) -> None:
    raise TooLong


def look(kind: str) -> dict[str, Any]:
    """What is told of one type, and what is so."""
    import torch  # noqa: PLC0415

    from tests.predict.sweep import small, truth  # noqa: PLC0415

    row: dict[str, Any] = {"class": small.types()[kind]}
    try:
        config = small.small(kind)
    except Exception as error:
        return row | {"note": f"no small config: {_said(error)}"}
    try:
        model = truth.model_of(config, row["class"])
    except Exception as error:
        raw = config.to_dict() | {"architectures": [row["class"]]}
        return row | {"note": f"not built: {_said(error)}"} | _told(raw)
    raw = model.config.to_dict() | {"architectures": [row["class"]]}
    row["parameters"] = truth.parameters(model)
    try:
        row |= _grown(truth.model_of(config, row["class"], torch.bfloat16))
    except Exception:  # some models compute in 32 bits only
        try:
            row |= _grown(model)
        except Exception as error:
            row["note"] = f"no forward of ids alone: {_said(error)}"
    del model
    return row | _told(raw)


def _grown(model: Any) -> dict[str, float]:
    from tests.predict.sweep import truth  # noqa: PLC0415

    return {"kv": truth.growth(model), "beyond": truth.beyond(model)}


def _told(raw: dict[str, Any]) -> dict[str, Any]:
    from llamatop.predict import forecast, tracer  # noqa: PLC0415
    from llamatop.predict.traced import Shape  # noqa: PLC0415

    def here(_module: str, question: Any, _answer: Any, *_: Any) -> Any:
        return tracer._answer(question)

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(raw, default=str))
        config = RunConfig(
            model=folder, weights="random", dtype="bfloat16", prompt_toks=32, gen_toks=2
        )
        try:
            with (
                mock.patch.object(forecast, "ask", here),
                mock.patch.object(forecast, "remembered", lambda _: None),
                mock.patch.object(forecast, "remember", lambda *_: None),
                mock.patch.object(forecast, "remember_runtime", lambda *_: None),
            ):
                trace = forecast.trace_model(config, "cpu", {Shape(1, 32, 2)})
        except InputError as refused:
            return {"refused": str(refused).replace(folder, "M")}
        except Exception as error:
            return {"raised": _said(error)}
    return {
        "unknown": trace.unknown,
        "told_parameters": trace.parameters,
        "told_kv": trace.kv_bytes_per_token,
        "told_beyond": sum(k.count * k.kv_bytes_per_token for k in trace.kinds if not k.window),
    }


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


if __name__ == "__main__":
    main(sys.argv[1:])
