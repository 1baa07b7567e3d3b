"""What each room may bring into memory, seen in a fresh interpreter; and that no circle is hidden.

Import-linter sees statements; what is imported or started by its name in a string counts as well.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import llamatop

ROOT = Path(llamatop.__file__).parent
HEAVY = {"textual", "torch", "transformers", "polars", "matplotlib", "huggingface_hub"}

TORCH = {"torch", "transformers", "huggingface_hub"}
FILES = {"polars", "matplotlib"}

MAY: dict[str, set[str]] = {
    "llamatop.tui": {"textual"},
    "llamatop.reports": FILES,
    "llamatop.recording": FILES,
    "llamatop.imports": FILES,
    "llamatop.commands.record": FILES,
    "llamatop.commands.engines": FILES,
    "llamatop.commands.attach_record": FILES,
    "llamatop.commands.screen": {"textual"},
    "llamatop.commands.watch": {"textual"},
    "llamatop.engines": TORCH,
    "llamatop.predict": TORCH,
}
"""What a room, or a module, may import at once; anything else nothing of `HEAVY`."""

LIGHT = {
    *(f"llamatop.engines.{name}" for name in ("base", "host", "hub_cache", "level", "models")),
    *(f"llamatop.engines.{name}" for name in ("outbox", "resolve", "scripted", "sizes", "work")),
    *(f"llamatop.engines.{name}" for name in ("lacking", "layout", "weight_files")),
    *(f"llamatop.predict.{name}" for name in ("child", "counting", "layouts", "machine")),
    "llamatop.predict.devices",
    *(f"llamatop.reports.{name}" for name in ("summary", "models", "doctor")),
    "llamatop.recording.default_path",
    "llamatop.recording.footer",
    "llamatop.recording.tables",
    *(f"llamatop.imports.{name}" for name in ("told", "headlines", "reading")),
    *(f"llamatop.reports.{name}" for name in ("perfetto", "tally", "openmetrics")),
}
"""Modules in those rooms that the main process imports early, and so stay light."""


def modules() -> list[str]:
    files = sorted(ROOT.rglob("*.py"))
    names = [".".join(file.relative_to(ROOT.parent).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names if "__main__" not in name]


def may(module: str) -> frozenset[str]:
    if module in LIGHT:
        return frozenset()
    rooms = (heavy for room, heavy in MAY.items() if f"{module}.".startswith(f"{room}."))
    return frozenset(next(rooms, ()))


GROUPS = sorted({may(module) for module in modules()}, key=sorted)


@pytest.mark.parametrize("heavy", GROUPS, ids=lambda heavy: "+".join(sorted(heavy)) or "light")
def test_a_room_imports_only_what_it_may(heavy: frozenset[str]) -> None:
    rooms = [module for module in modules() if may(module) == heavy]
    code = "import sys, importlib; [importlib.import_module(m) for m in sys.argv[1:]]; "
    code += f"print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, *rooms], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= heavy


def test_every_light_module_is_there() -> None:
    assert set(modules()) >= LIGHT


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from llamatop.cli import main\ntry: main(['--help'])\n"
    code += "except SystemExit: print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.strip("[]', ") for name in done.stdout.split(",")}
    assert "llamatop.commands.run" in loaded
    assert not loaded & (HEAVY | {"msgspec", "psutil", "numpy"})


_NAME = re.compile(r"(llamatop(?:\.\w+)+)(?::|$)")
"""A module in a string, as `import_module` or the start of a child process takes it."""


def imported(module: str, known: set[str]) -> Iterator[str]:
    """What a module needs, by statement wherever it stands, or by name."""
    path = ROOT.parent / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = _NAME.findall(node.value)[:1]
        for name in names:
            within = name if name in known else name.rpartition(".")[0]
            if within in known and within not in (module, "llamatop"):
                yield within


def test_neither_modules_nor_rooms_need_each_other() -> None:
    known = set(modules())
    needs = {module: set(imported(module, known)) for module in known}
    assert "llamatop.engines.hub" in needs["llamatop.engines.resolve"], "strings are not seen"
    tuple(TopologicalSorter(needs).static_order())  # raises CycleError, which names the circle
    rooms: dict[str, set[str]] = {}
    for module, others in needs.items():
        room = module.split(".")[1:2]
        rooms.setdefault("".join(room), set()).update(
            other.split(".")[1] for other in others if other.split(".")[1:2] != room
        )
    tuple(TopologicalSorter(rooms).static_order())
