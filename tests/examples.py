"""How many examples a property tries that takes long: a share of what the profile says."""

from __future__ import annotations

from hypothesis import settings


def share(part: int) -> settings:
    """One in `part` of the usual number, of every profile."""
    return settings(max_examples=max(settings.default.max_examples // part, 1))
