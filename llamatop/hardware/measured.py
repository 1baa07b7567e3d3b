"""What is asked of the measuring process and what it answers. Knows neither torch nor files."""

from __future__ import annotations

import msgspec

from llamatop.figures.roofline import Roofs


class Measure(msgspec.Struct, frozen=True):
    """What to measure: a device and a dtype as on the command line."""

    device: str = "auto"
    dtype: str = "auto"


class Measured(msgspec.Struct, frozen=True, tag=True):
    """What was measured; bytes/s and FLOP/s."""

    device: str
    """The device's own name."""
    dtype: str
    threads: int
    read: float
    copy: float
    triad: float
    matvec: float
    """Weights that a product with one row reads: the roof of the library at one request."""
    flops: float
    """Of a product of square matrices in `dtype`."""
    torch: str

    @property
    def bandwidth(self) -> float:
        """The most that memory gave to any kernel."""
        return max(self.read, self.copy, self.triad, self.matvec)

    @property
    def arithmetic(self) -> float:
        """The most FLOP/s of any kernel: a library that is slow with square matrices of a dtype may
        be faster with one row, which is two operations for each weight that it reads."""
        return max(self.flops, 2 * self.matvec / (4 if self.dtype == "float32" else 2))

    @property
    def roofs(self) -> Roofs:
        """Memory's and arithmetic's."""
        return Roofs(self.bandwidth, self.arithmetic)
