"""What the requests of a level ask for: by their place alone."""

from hypothesis import given
from hypothesis import strategies as st

from llamatop.engines.base import GivenSize
from llamatop.engines.scripted import script
from llamatop.engines.sizes import Size, Sizes
from llamatop.events.kinds import LevelStarted, RequestQueued, TokensEmitted
from llamatop.settings.config import RunConfig
from llamatop.settings.lengths import Lengths

DRAWN = {"prompt_lengths": Lengths("uniform", 4, 90), "gen_lengths": Lengths("uniform", 2, 30)}


def test_all_alike() -> None:
    sizes = Sizes(RunConfig(prompt_toks=9, gen_toks=5))
    assert sizes.at(0) == sizes.at(77) == Size(9, 5)
    assert sizes.warmup(0, 4) == Size(9, 4)


@given(st.integers(0, 2**16), st.integers(1, 20))
def test_a_file_is_gone_through_whole_before_it_begins_again(seed: int, lines: int) -> None:
    given = [GivenSize(10 + line, line or None) for line in range(lines)]
    sizes = Sizes(RunConfig(seed=seed, gen_toks=3), given)
    once = [sizes.at(place) for place in range(lines)]
    assert sorted(size.given for size in once if size.given is not None) == list(range(lines))
    assert once == [sizes.at(place + lines) for place in range(lines)]
    for size in once:
        assert size.given is not None
        assert size.prompt_tokens == 10 + size.given
        assert size.max_tokens == (size.given or 3)


def test_a_warm_up_is_as_long_and_of_other_text() -> None:
    sizes = Sizes(RunConfig(gen_toks=9), [GivenSize(50, 2)])
    assert sizes.warmup(0, 4) == Size(50, 2)


def test_every_level_asks_for_the_same_and_gets_it() -> None:
    config = RunConfig(engine="scripted", concurrency=(1, 3, 8), requests=12, **DRAWN)  # type: ignore[arg-type]
    events = script(config)
    levels = [e.level for e in events if isinstance(e, LevelStarted)]
    asked = {
        level: [
            (e.prompt_tokens, e.max_tokens)
            for e in events
            if isinstance(e, RequestQueued) and e.level == level and not e.warmup
        ]
        for level in levels
    }
    assert asked[0] == asked[1] == asked[2]
    assert len(set(asked[0])) == 12
    got: dict[int, int] = {}
    for event in events:
        if isinstance(event, TokensEmitted):
            got[event.request] = got.get(event.request, 0) + event.count
    assert got == {e.request: e.max_tokens for e in events if isinstance(e, RequestQueued)}
