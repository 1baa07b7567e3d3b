"""What each room may bring into memory, seen in a fresh interpreter."""

import subprocess
import sys
from pathlib import Path

import pytest

import llamatop

ROOT = Path(llamatop.__file__).parent
HEAVY = {"textual", "torch", "transformers", "polars"}

ALLOWED = {
    "llamatop.tui": {"textual"},
    "llamatop.engines": {"torch", "transformers"},
    "llamatop.recording": {"polars"},
    "llamatop.reports": {"polars"},
}
LIGHT_IN_ENGINES = {"base", "host", "level", "models", "outbox", "resolve", "scripted", "work"}


def modules() -> list[str]:
    files = sorted(ROOT.rglob("*.py"))
    names = [".".join(file.relative_to(ROOT.parent).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names if "__main__" not in name]


def may(module: str) -> set[str]:
    if module.removeprefix("llamatop.engines.") in LIGHT_IN_ENGINES:
        return set()
    return next((heavy for room, heavy in ALLOWED.items() if module.startswith(room)), set())


@pytest.mark.parametrize("heavy", [frozenset(), frozenset({"textual"}), frozenset({"polars"})])
def test_a_room_imports_only_what_it_may(heavy: frozenset[str]) -> None:
    rooms = [module for module in modules() if may(module) == heavy]
    assert rooms
    code = "import sys, importlib; [importlib.import_module(m) for m in sys.argv[1:]]; "
    code += f"print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, *rooms], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= heavy
