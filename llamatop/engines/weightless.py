"""What an engine without a model of its own says of devices and ranks: a script, or a client."""

from __future__ import annotations

from collections.abc import Sequence


class Weightless:
    """The part of an `Engine` that tells of memory which is not here."""

    def allocated(self) -> list[tuple[int, int, int]]:
        """None: no device of ours."""
        return []

    def reset_peaks(self) -> None:
        """Nothing to reset."""

    @property
    def followers(self) -> Sequence[int]:
        """None: what runs here holds no model."""
        return ()

    def device_peak(self) -> int | None:
        """None: no device of ours."""
        return None
