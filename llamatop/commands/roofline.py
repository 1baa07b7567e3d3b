"""`llamatop roofline`: what this machine's memory and arithmetic can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llamatop.commands.parser import Parser

if TYPE_CHECKING:
    from llamatop.hardware.measured import Measured

SCHEMA = 1
"""Version of the JSON object."""


_EXAMPLES = """\
  llamatop roofline
  llamatop roofline --device cuda:1 --dtype bfloat16
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop roofline",
        examples=_EXAMPLES,
        description="This machine's measured memory bandwidth and arithmetic. Takes a few "
        "seconds; let nothing else run meanwhile.",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--dtype", nargs="+", default=None, choices=("float32", "bfloat16", "float16"),
        help="of the arithmetic (float32 bfloat16)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def main(arguments: list[str]) -> int:
    """Measure, keep and show the roofs of this machine; the exit code."""
    args = command_line().parse_args(arguments)
    from llamatop.predict.checking import place_here
    from llamatop.predict.machine import measure_machine

    dtypes = args.dtype or ["float32", "bfloat16"]
    device = place_here(args.device).device
    measured = [measure_machine(device, dtype, fresh=True) for dtype in dtypes]
    print(json.dumps(_object(measured), indent=1) if args.json else _table(measured))
    return 0


def _object(measured: list[Measured]) -> dict[str, Any]:
    """`schema` 1: bytes/s and FLOP/s."""
    from llamatop.predict.devices import DEVICES

    return {
        "schema": SCHEMA,
        "device": measured[0].device,
        "threads": measured[0].threads,
        "torch": measured[0].torch,
        "read_bytes_s": max(m.read for m in measured),
        "copy_bytes_s": max(m.copy for m in measured),
        "triad_bytes_s": max(m.triad for m in measured),
        "bandwidth_bytes_s": max(m.bandwidth for m in measured),
        "dtypes": {
            m.dtype: {"matvec_bytes_s": m.matvec, "matmul_flop_s": m.flops} for m in measured
        },
        "published": [
            {
                "name": device.name,
                "memory_bytes": device.memory_bytes,
                "bandwidth_bytes_s": device.bandwidth,
                "matmul_flop_s": device.flops,
            }
            for device in DEVICES
        ],
    }


def _table(measured: list[Measured]) -> str:
    """The roofs of this machine, and the published ones of others beside them."""
    from llamatop.predict.devices import DEVICES
    from llamatop.text.formatting import number, size

    first = measured[0]
    lines = [f"{first.device}, {first.threads} threads, torch {first.torch}", ""]
    for name in ("read", "copy", "triad"):
        best = max(getattr(m, name) for m in measured)
        lines.append(f"  memory {name:<18} {number(best / 1e9):>8} GB/s")
    for m in measured:
        lines.append(f"  matrix x vector {m.dtype:<9} {number(m.matvec / 1e9):>8} GB/s of weights")
        lines.append(f"  matrix x matrix {m.dtype:<9} {number(m.flops / 1e12):>8} TFLOP/s")
    lines += ["", f"  {'published peaks':<24} {'memory':>8} {'GB/s':>8} {'TFLOP/s, 16 bit':>16}"]
    lines += [
        f"  {device.name:<24} {size(device.memory_bytes):>8} {number(device.bandwidth / 1e9):>8} "
        f"{number(device.flops / 1e12):>16}"
        for device in sorted(DEVICES, key=lambda device: device.bandwidth)
    ]
    return "\n".join(lines)
