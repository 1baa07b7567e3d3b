"""Conversations: each turn sends the history with the answers that really came."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from llamatop.catalog import demo_folder
from llamatop.engines.base import Exchange, Job
from llamatop.engines.given import given_prompts
from llamatop.engines.prompts import Given, Prompts
from llamatop.engines.resolve import resolve
from llamatop.engines.scripted import Script, script
from llamatop.figures.levels import level_figures
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.session.requests import Request
from llamatop.settings.config import RunConfig, whole_prompts
from tests.engines.conftest import silent

DATA = Path(__file__).parents[1] / "data" / "prompts"


def session_of(behaviour: Script | None = None, **config: object) -> Session:
    asked = RunConfig(engine="scripted", prompt_toks=10, gen_toks=5, **config)  # type: ignore[arg-type]
    return fold(script(whole_prompts(asked), behaviour))


def talks_of(session: Session) -> dict[int, list[Request]]:
    talks: dict[int, list[Request]] = defaultdict(list)
    for request in session.levels[0].requests:
        assert request.conversation is not None
        talks[request.conversation].append(request)
    return talks


@pytest.mark.parametrize("concurrency", [1, 3])
def test_turns_follow_one_another_and_grow(concurrency: int) -> None:
    session = session_of(concurrency=(concurrency,), turns=3, requests=12)
    talks = talks_of(session)
    assert len(talks) == 4
    for first, turns in talks.items():
        assert turns[0].id == first
        assert [one.turn for one in turns] == [1, 2, 3]
        assert [one.prompt_tokens for one in turns] == [10, 25, 40]
        assert all(one.state == "done" for one in turns)
        for before, after in pairwise(turns):
            assert before.ended is not None
            assert after.scheduled == before.ended, "its slot is free as soon as it is answered"


def test_figures_are_told_per_turn() -> None:
    session = session_of(concurrency=(2,), turns=2, requests=8)
    turns = level_figures(session, session.levels[0]).turns
    assert [(one.turn, one.completed, one.prompt_tokens) for one in turns] == [
        (1, 4, 40), (2, 4, 100)
    ]  # fmt: skip
    assert all(one.ttft is not None and one.tpot is not None for one in turns)
    single = session_of(requests=4)
    assert level_figures(single, single.levels[0]).turns == ()


def test_a_failed_turn_ends_its_conversation() -> None:
    session = session_of(Script(fail_every=4), turns=3, requests=9)
    for turns in talks_of(session).values():
        assert all(one.state == "done" for one in turns[:-1])
    assert any(one.state == "failed" for one in session.levels[0].requests)


def test_in_an_open_loop_conversations_arrive_and_turns_follow_at_once() -> None:
    session = session_of(concurrency=(9,), turns=2, requests=8, rate=2.0)
    for first, second in talks_of(session).values():
        assert second.scheduled == first.ended


def test_the_prompt_of_a_turn_is_all_that_was_said() -> None:
    prompts = Prompts.make(None, 512, frozenset(), seed=0)
    first = Job(7, 10, 3, own_tokens=10)
    second = Job(8, 23, 3, own_tokens=10, history=(Exchange(first, (1, 2, 3), ""),))
    third = Job(9, 36, 3, own_tokens=10, history=(*second.history, Exchange(second, (4, 5, 6), "")))
    said = prompts.of(third)
    assert len(said) == third.prompt_tokens
    assert said[:10] == prompts.of(first) and said[10:13] == [1, 2, 3]
    assert said[:23] == prompts.of(second) and said[23:26] == [4, 5, 6]
    prompts.given = [Given([50, 51], None, later=([60, 61],))]
    first = Job(7, 2, 3, given=0)
    second = Job(8, 7, 3, given=0, history=(Exchange(first, (1, 2, 3), ""),))
    assert prompts.of(second) == [50, 51, 1, 2, 3, 60, 61]


def test_lines_with_several_user_turns_are_conversations(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(demo_folder() / "tokenizer.json"))
    config = RunConfig(prompts=str(DATA / "evalscope-multiturn.jsonl"), turns=2)
    talk, single = given_prompts(config, resolve(RunConfig(), silent), tokenizer)
    assert not single.later and len(talk.later) == 1
    assert "Hello" in tokenizer.decode(talk.ids) and "Hi!" not in tokenizer.decode(talk.ids)
    added = tokenizer.decode(talk.later[0], skip_special_tokens=False)
    assert added.endswith("<|user|>Name three rivers.<|assistant|>") and "Hello" not in added
    whole = RunConfig(prompts=str(DATA / "evalscope-multiturn.jsonl"), turns=1)
    asked = tokenizer.decode(given_prompts(whole, resolve(RunConfig(), silent), tokenizer)[0].ids)
    assert "Hi!" in asked, "with --turns 1 a line is one request, as it stands"


def test_a_file_of_conversations_has_its_own_numbers_of_turns(tmp_path: Path) -> None:
    path = tmp_path / "talks.json"
    people = [{"from": "human", "value": "one two"}, {"from": "gpt", "value": "old"}]
    path.write_text(json.dumps([{"conversations": people * turns} for turns in (1, 3, 2)]))
    session = session_of(prompts=str(path), turns=3, requests=6)
    turns = sorted(len(requests) for requests in talks_of(session).values())
    assert turns == [1, 2, 3]
