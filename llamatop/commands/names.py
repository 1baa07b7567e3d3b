"""What the commands are called. Knows nothing of what they do."""

from __future__ import annotations

COMMANDS = (
    "replay",
    "show",
    "check",
    "models",
    "plot",
    "compare",
    "ab",
    "recommend",
    "export",
    "roofline",
    "doctor",
    "import",
    "attach",
    "web",
    "completion",
)
"""Each is a module of `llamatop.commands` with a `main`; anything else is a run."""

RESERVED = ("import",)
"""Words of Python: the module of such a command has an underscore behind its name."""


def module_of(name: str) -> str:
    """The module of a command."""
    return f"llamatop.commands.{name}{'_' if name in RESERVED else ''}"
