"""Prompts are exact, repeatable, and share no beginning."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from llamatop.catalog import demo_folder
from llamatop.engines.prompts import Prompts
from llamatop.engines.sizes import Sizes
from llamatop.engines.work import Plan
from llamatop.settings.config import RunConfig, whole_prompts

SPECIAL = frozenset({0, 1, 2})


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(demo_folder() / "tokenizer.json"))


@pytest.fixture(scope="module")
def text(tokenizer: Tokenizer) -> Prompts:
    return Prompts.make(tokenizer, 4096, SPECIAL, seed=0)


@pytest.fixture(scope="module")
def noise() -> Prompts:
    return Prompts.make(None, 512, SPECIAL, seed=0)


@pytest.mark.parametrize("tokens", [1, 2, 20, 128, 250_000])
def test_they_have_exactly_the_length(text: Prompts, noise: Prompts, tokens: int) -> None:
    assert len(text.prompt(3, tokens)) == tokens
    assert len(noise.prompt(3, tokens)) == tokens


def test_no_two_begin_alike(text: Prompts, noise: Prompts) -> None:
    firsts = [text.prompt(request, 8)[1] for request in range(1000)]
    assert len(set(firsts)) == 1000
    firsts = [noise.prompt(request, 8)[0] for request in range(500)]
    assert len(set(firsts)) == 500
    many = [tuple(noise.prompt(request, 16)) for request in range(20_000)]
    assert len(set(many)) == len(many)


def test_the_same_seed_gives_the_same(text: Prompts, tokenizer: Tokenizer) -> None:
    again = Prompts.make(tokenizer, 4096, SPECIAL, seed=0)
    other = Prompts.make(tokenizer, 4096, SPECIAL, seed=1)
    assert again.prompt(7, 30) == text.prompt(7, 30)
    assert other.prompt(7, 30) != text.prompt(7, 30)


def test_text_begins_as_the_tokenizer_begins_and_reads_as_text(
    text: Prompts, tokenizer: Tokenizer
) -> None:
    prompt = text.prompt(5, 200)
    assert prompt[0] == tokenizer.token_to_id("<|bos|>")
    assert not SPECIAL & set(prompt[1:])
    assert tokenizer.decode(prompt).count(" ") > 20


def test_noise_has_no_special_ids(noise: Prompts) -> None:
    ids = set(noise.prompt(0, 50_000))
    assert not SPECIAL & ids
    assert ids <= set(range(512))


def test_blocks_are_the_same_text_for_the_same_ids(noise: Prompts) -> None:
    one = noise.of_blocks([7, 8], 700, 1)
    other = noise.of_blocks([7, 9], 700, 2)
    assert len(one) == len(other) == 700
    assert one[:512] == other[:512] and one[512] != other[512]
    long = noise.of_blocks([7], 900, 3)
    assert long[:512] == one[:512] and long[512:] != noise.of_blocks([7], 900, 4)[512:]
    far = 100_000  # as many places as the noise has: a number that wraps is another block
    assert noise.of_blocks([7 + far], 512, 1) != noise.of_blocks([7], 512, 1)


def test_prompts_share_the_beginnings_that_the_seed_draws(text: Prompts) -> None:
    config = whole_prompts(RunConfig(prompt_toks=20, prefix_toks=64, prefixes=3, seed=5))
    assert config.prompt_toks == 84
    sizes = Sizes(config)
    jobs = [Plan(0, 1, 9, sizes.at).job(place, place, 0) for place in range(40)]
    prompts = [text.of(job) for job in jobs]
    assert {len(prompt) for prompt in prompts} == {84} == {job.prompt_tokens for job in jobs}
    assert len({tuple(prompt[:64]) for prompt in prompts}) == 3
    assert len({tuple(prompt[64:]) for prompt in prompts}) == 40
    for job, prompt in zip(jobs, prompts, strict=True):
        assert job.prefix is not None
        assert prompt[:64] == text.shared(job.prefix, 84, 99, 20)[:64]
    again = Sizes(config)
    assert [again.at(place).prefix for place in range(40)] == [job.prefix for job in jobs]
