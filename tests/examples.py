"""How many examples a property tries that takes long: a share of what the profile says."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def share(part: int, *unchecked: HealthCheck) -> settings:
    """One in `part` of the usual number, of every profile, however long each takes."""
    count = max(settings.default.max_examples // part, 1)
    return settings(max_examples=count, deadline=None, suppress_health_check=unchecked)
