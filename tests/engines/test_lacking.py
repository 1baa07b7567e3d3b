"""What of a model's folder is missing or damaged, told before anything is loaded."""

import json
import shutil
from pathlib import Path

import pytest

from llamatop.catalog import demo_folder
from llamatop.engines.lacking import lacking
from llamatop.engines.tokenizer import load_tokenizer
from llamatop.errors import InputError

BROKEN = ["", "{", "[]", "{}", '{"model": {}}', '{"model": {"type": "BPE"}}', "[" * 100_000, "\0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo_folder(), tmp_path / "model"))


def test_a_whole_folder_lacks_nothing(folder: Path) -> None:
    assert lacking(folder) == []
    assert load_tokenizer(folder) is not None


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_damaged_tokenizer_is_named(folder: Path, text: str) -> None:
    (folder / "tokenizer.json").write_text(text)
    (told,) = lacking(folder)
    assert "tokenizer.json is damaged" in told
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read: ") as refused:
        load_tokenizer(folder)
    assert "\n" not in str(refused.value)


def test_a_tokenizer_that_is_cut_short_anywhere_is_never_taken(folder: Path) -> None:
    path = folder / "tokenizer.json"
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, len(whole) // 20):
        path.write_bytes(whole[:length])
        assert lacking(folder)
        with pytest.raises(InputError):
            load_tokenizer(folder)


def test_each_file_that_is_missing_or_damaged_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink(missing_ok=True)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    cut, missing = lacking(folder)
    assert "model.safetensors is cut short" in cut
    assert "has no tokenizer.json" in missing
    weights.unlink()
    assert "has no model.safetensors" in lacking(folder)[0]
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1-of-2.safetensors"}}))
    assert "model-1-of-2.safetensors is missing" in lacking(folder)[0]
    index.write_text("{")
    assert "index.json is damaged" in lacking(folder)[0]
