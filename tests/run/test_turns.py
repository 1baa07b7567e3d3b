from collections import Counter

from llamatop.run.turns import order


def test_what_drifts_evenly_cancels_in_every_round() -> None:
    turns = order(3)
    for first in range(0, len(turns), 4):
        places = {side: sum(n for n in range(4) if turns[first + n] == side) for side in "ab"}
        assert places["a"] == places["b"]
    assert Counter(turns) == {"a": 6, "b": 6}
