"""Memory as the reason for the loss of an engine, from its last words."""

import pytest

from llamatop.run.losses import memory_loss
from llamatop.settings.config import RunConfig

ABORT = [
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "  what():  std::bad_alloc",
]
ENFORCE = "out of memory: EngineMemoryError: [enforce fail at alloc_cpu.cpp:127] err == 0"


@pytest.mark.parametrize(
    ("reason", "printed"),
    [
        ("killed by SIGABRT:   what():  std::bad_alloc", ABORT),
        ("killed by SIGABRT", ABORT),
        (ENFORCE, []),
    ],
)
def test_the_limit_that_ended_an_engine_is_named(reason: str, printed: list[str]) -> None:
    config = RunConfig(memory=450_000_000)
    told = "out of memory: the limit of 450 MB (--memory) ended "
    assert memory_loss(config, reason, printed, loading=True) == told + "loading the model"
    assert memory_loss(config, reason, printed, loading=False) == told + "the level"


def test_without_a_limit_the_engine_has_the_word() -> None:
    assert memory_loss(RunConfig(), ENFORCE, [], loading=True) == ENFORCE
    told = memory_loss(RunConfig(), "killed by SIGABRT", ABORT, loading=True)
    assert told == "out of memory: killed by SIGABRT"


def test_no_room_for_a_thread_is_no_room_only_under_a_limit() -> None:
    reason = "RuntimeError: can't start new thread"
    assert memory_loss(RunConfig(memory=350_000_000), reason, [], loading=True)
    assert memory_loss(RunConfig(), reason, [], loading=True) is None


def test_other_ends_are_no_end_of_memory() -> None:
    config = RunConfig(memory=450_000_000)
    assert memory_loss(config, "killed by SIGSEGV", ["a warning"], loading=True) is None
    before = ["MemoryError: a request failed"]
    assert memory_loss(config, "killed by SIGSEGV", before, loading=False) is None
