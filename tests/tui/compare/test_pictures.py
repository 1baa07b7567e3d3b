"""The compare screen as a picture."""

from __future__ import annotations

import pytest

from .case import CompareApp, judged, pair, several


@pytest.mark.parametrize(("count", "size"), [(2, (120, 36)), (6, (80, 24))], ids=["two", "six"])
def test_compare(snap_compare, count, size):
    runs = pair(model="another/model") if count == 2 else several(count)
    app = CompareApp(runs)

    async def halfway(pilot):
        await judged(pilot)
        app.comparing.deck.seek(app.comparing.deck.length // 2)
        app.shown._body.show()

    assert snap_compare(app, terminal_size=size, run_before=halfway)
