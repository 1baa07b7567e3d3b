"""What ships of configs that were traced before: to the byte what the tracer says, no more."""

import json
import random
from pathlib import Path

import msgspec
import pytest

from llamatop.catalog import known_models, ledger_folder
from llamatop.engines import config_file
from llamatop.predict import answers, forecast
from llamatop.predict.checking import check, place_there
from llamatop.predict.devices import named
from llamatop.predict.forecast import architecture_of
from llamatop.predict.ledger import Ledger, Way
from llamatop.predict.logged import Logger, told
from llamatop.predict.traced import Ask, Reach, Shape
from llamatop.predict.tracer import trace, trace_as
from llamatop.settings.config import RunConfig

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
MODELS = ["demo", *(known.id for known in known_models()), str(CONFIGS / "deepseek-v3")]
SMALL = "HuggingFaceTB/SmolLM2-135M-Instruct"
REACH = Reach("batch", 40_000_000_000, 0.03, 400_000_000)


def question(model: str, shapes: tuple[Shape, ...], device: str = "cuda", **more: object) -> Ask:
    source = architecture_of(RunConfig(model=model))
    capability = named("H200").capability if device == "cuda" else None
    asked = Ask(
        model, source.architecture, device=device, shapes=shapes, checkpoint=True,
        beside=source.beside, capability=capability,
    )  # fmt: skip
    return msgspec.structs.replace(asked, **more)


def same(asked: Ask) -> None:
    told = answers.answered(asked)
    assert told is not None and told.told_from
    assert msgspec.structs.replace(told, told_from="") == trace(asked)


def test_a_shipped_answer_is_the_tracers_to_the_byte() -> None:
    shapes = (Shape(1, 128, 32), Shape(7, 311, 2), Shape(256, 128, 32), Shape(3, 1, 1))
    same(question(SMALL, shapes, reach=REACH))
    same(question(SMALL, shapes, "cpu", dtype="float32"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: Path(model).name)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_all_that_ship_are_the_tracers_to_the_byte(model: str, device: str) -> None:
    asked = question(model, (), device)
    drawn = random.Random(1)
    shapes = tuple(
        Shape(drawn.choice([1, 2, drawn.randint(3, 300)]), drawn.choice([1, 128, n]), g)
        for n, g in ((drawn.randint(2, 9000), drawn.choice([1, 2, 3, 40])) for _ in range(12))
    )
    same(msgspec.structs.replace(asked, shapes=shapes, reach=REACH))


def test_a_config_is_known_by_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = config_file.read(CONFIGS / "deepseek-v3" / "config.json")
    monkeypatch.setattr(forecast, "ask", lambda *_: pytest.fail("it was traced"))
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path / "cache"))
    place = place_there(named("H200"))

    def answer(said: dict[str, object]) -> object:
        (tmp_path / "config.json").write_text(json.dumps(said))
        return check(RunConfig(model=str(tmp_path)), place).trace

    there = check(RunConfig(model=str(CONFIGS / "deepseek-v3")), place).trace
    assert there.told_from.startswith("traced before, by torch ")
    backwards = dict(reversed(raw.items())) | {"_name_or_path": "elsewhere"}
    assert answer(backwards) == there
    with pytest.raises(pytest.fail.Exception):
        answer(raw | {"num_hidden_layers": 60})


@pytest.mark.parametrize(("torch", "known"), [("9.9", False), ("none", True)])
def test_of_other_libraries_nothing_is_known(
    torch: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question(SMALL, (Shape(1, 128, 32),))
    assert answers.answered(asked) is not None
    usual = answers.version_of
    monkeypatch.setattr(answers, "version_of", lambda n: torch if n == "torch" else usual(n))
    assert (answers.answered(asked) is not None) is known


@pytest.mark.parametrize("more", [
    {"layers": 2}, {"quantize": "int8"}, {"crowds": True}, {"sampling": {"do_sample": True}},
    {"dtype": "float16"},
])  # fmt: skip
def test_another_question_is_left_to_the_tracer(more: dict[str, object]) -> None:
    assert answers.answered(question(SMALL, (Shape(1, 128, 32),), **more)) is None


def test_a_ledger_says_nothing_where_it_knows_no_way() -> None:
    found = answers.recalled(question(SMALL, ()))
    assert found is not None
    with pytest.raises(LookupError):
        Ledger(64, (0,), ()).peak(Shape(1, 16, 1))


def test_every_file_is_found_by_its_own_name() -> None:
    names = {answers.file_of(architecture_of(RunConfig(model=m)).architecture) for m in MODELS}
    assert names == {path.name for path in ledger_folder().iterdir()}


def test_a_way_is_of_a_form_and_of_sizes() -> None:
    """What the logger says of one forward, told by the ledger that it makes of others."""
    _, logger = trace_as(question(SMALL, (), "cpu"), Logger)
    ledger = logger.ledger(2048)
    assert all(isinstance(way, Way) for way in ledger.ways)
    for way in ledger.ways:
        batch = 1 if way.alone else 11
        assert told(way, batch, 77) == logger.walk(way.forward, batch, 77)
