"""This machine's roofs measured by a process of its own: never while an engine runs."""

from __future__ import annotations

from llamatop.hardware.measured import Measure, Measured
from llamatop.hardware.roofs import cached_machine, keep_machine
from llamatop.predict.child import ask
from llamatop.settings.installed import need


def measure_machine(device: str = "cpu", dtype: str = "bfloat16", fresh: bool = False) -> Measured:
    """What was measured before, or else (or if `fresh`) now, in about 3 s with torch's import.

    Not while an engine runs: both would be slowed. Raises InputError if there is no such device.
    """
    known = cached_machine(device, dtype)
    if known is not None and not fresh:
        return known
    need("measuring this machine")
    return keep_machine(
        device, dtype, ask("llamatop.predict.bench", Measure(device, dtype), Measured)
    )
