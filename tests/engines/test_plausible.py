"""What is refused before transformers is imported is what transformers itself could not use."""

import pytest
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from llamatop.catalog import known_models
from llamatop.engines import plausible


def first(names: object) -> str:
    return names if isinstance(names, str) else names[0]  # type: ignore[index]


@pytest.mark.parametrize("name", ["CAUSAL_LM", "MASKED_LM", "IMAGE_TEXT_TO_TEXT"])
def test_names_read_as_text_are_those_of_transformers(name: str) -> None:
    mapping = f"MODEL_FOR_{name}_MAPPING_NAMES"
    assert plausible._listed("modeling_auto.py", mapping) == set(getattr(modeling_auto, mapping))


def test_every_type_is_known() -> None:
    found = plausible._listed("auto_mappings.py", "CONFIG_MAPPING_NAMES")
    assert found == set(CONFIG_MAPPING_NAMES)


def test_no_class_that_generates_is_refused() -> None:
    for kind, names in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items():
        assert plausible._may_generate({"is_decoder": True}, kind, first(names)), kind
    for kind, names in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.items():
        assert plausible._may_generate({}, kind, first(names)) or "Diffusion" in first(names), kind


def test_every_built_in_architecture_passes() -> None:
    for known in known_models():
        plausible.check_architecture(known.id, known.architecture())


def test_where_transformers_cannot_be_read_nothing_is_refused_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plausible, "_listed", lambda *_: frozenset())
    monkeypatch.setattr(plausible, "_text", lambda _: "")
    plausible.check_architecture(
        "m", {"model_type": "new", "architectures": ["NewForCausalLM"], "n_embd": 4, "n_layer": 2}
    )
