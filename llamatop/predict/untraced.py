"""What `check` says where torch is not installed: of a model that ships, as it was traced before.

Read off between traced shapes (see `shipped`), so a peak may be a little higher than the tracer's
own. Of anything else nothing is said but what to install.
"""

from __future__ import annotations

import msgspec

from llamatop.errors import InputError
from llamatop.predict import answers
from llamatop.predict.furthest import furthest
from llamatop.predict.shipped import Coefficients, shipped, stored_dtype
from llamatop.predict.traced import Ask, Trace

NOTE = "torch is not installed: read off what was traced of this model before"


def recalled(question: Ask, missing: str) -> Trace:
    """What ships of the model asked about, with all shapes asked for.

    Raises InputError with what is `missing` where nothing ships of it as it is asked for.
    """
    if (exact := answers.answered(question)) is not None:
        return exact
    known = _known(question)
    if known is None:
        raise InputError(f"--model {question.model}: {missing}")
    trace = msgspec.structs.replace(
        known.trace,
        peaks=(*known.trace.peaks, *(known.peak(shape) for shape in question.shapes)),
        notes=(*known.trace.notes, NOTE),
    )
    if question.reach is None:
        return trace
    return furthest(trace, known, question.reach, question.device)


def _known(question: Ask) -> Coefficients | None:
    """What ships of the whole model, unquantised by us, for engines that need no more."""
    if question.layers is not None or question.quantize != "none" or question.crowds:
        return None
    dtype = question.dtype if question.dtype != "auto" else stored_dtype(question.model)
    return shipped(question.model, dtype or "float32", question.device)
