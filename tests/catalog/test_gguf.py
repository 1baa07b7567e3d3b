"""GGUF headers: what is read of them, and that no header takes long or ends in a traceback."""

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.catalog import ggml
from llamatop.catalog.gguf import GgufError, models_in, read
from tests import gguf_files as files

SETTINGS, TENSORS = files.transformer(tokens=512)
HEADER = files.header(SETTINGS, TENSORS)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_is_read_in_either_byte_order(tmp_path: Path, order: str) -> None:
    path = files.write(
        tmp_path / "m.gguf", SETTINGS | {"llama.per_layer": [1, 0, 2]}, TENSORS, order
    )
    model = read(path)
    assert model.architecture == "llama"
    assert model.of("block_count") == 5
    assert model.of("per_layer") == [1, 0, 2]
    assert model.lengths["tokenizer.ggml.tokens"] == 512
    assert [(one.name, one.shape) for one in model.tensors] == [(t[0], t[2]) for t in TENSORS]


def test_bytes_are_counted_by_type(tmp_path: Path) -> None:
    """Q4_K_M on rows of 576 falls back to types whose blocks are of 32: 6.2 bits a weight."""
    tensors = [
        ("a", files.Q5_0, (576, 64)),
        ("b", files.Q8_0, (576, 64)),
        ("c", files.Q6_K, (1536, 64)),
    ]
    stored = read(files.write(tmp_path / "m.gguf", SETTINGS, tensors)).stored_by_type
    assert stored == {"q6_K": 1536 * 64 * 210 // 256, "q8_0": 576 * 2 * 34, "q5_0": 576 * 2 * 22}


def test_types_are_ggmls_own() -> None:
    gguf = pytest.importorskip("gguf")
    sizes = {int(kind): tuple(size) for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: one[1:] for kind, one in ggml.TYPES.items()}.items() <= sizes.items()
    names = {int(kind): kind.name.lower() for kind in gguf.GGMLQuantizationType}
    assert {kind: one.name.lower() for kind, one in ggml.TYPES.items()}.items() <= names.items()


def test_parts_of_a_split_model_are_one(tmp_path: Path) -> None:
    half = len(TENSORS) // 2
    parts = [tmp_path / f"m-0000{n}-of-00002.gguf" for n in (1, 2)]
    files.write(parts[0], SETTINGS | {"split.count": 2}, TENSORS[:half])
    files.write(parts[1], {"split.count": 2}, TENSORS[half:])
    assert read(parts[1]).settings == read(parts[0]).settings
    assert len(read(parts[1]).tensors) == len(TENSORS)
    assert models_in(tmp_path) == [parts[0]]
    parts[1].unlink()
    with pytest.raises(GgufError, match=r"2 parts, of which m-00002-of-00002.gguf is not there"):
        read(parts[0])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty or cut short"),
        (b"GGML" + HEADER[4:], "no GGUF"),
        (b"GGUF" + struct.pack("<I", 1) + HEADER[8:], "version 1"),
        (HEADER[:200], "cut short"),
        (HEADER, "cut short"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1), "claims"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62), "damaged"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 8, 1 << 50),
            "claims",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q1sI", 1, b"k", 99), "type"),
    ],
)
def test_a_damaged_file_is_told_in_a_line(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(GgufError, match=said):
        read(path)


@given(st.integers(0, len(HEADER) - 1), st.binary(min_size=1, max_size=8))
def test_no_header_takes_long_or_raises_otherwise(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("junk") / "m.gguf"
    path.write_bytes(HEADER[:place] + junk + HEADER[place + len(junk) :] + bytes(4096))
    began = time.process_time()
    try:
        read(path)
    except GgufError as error:
        assert len(str(error)) < 300
    assert time.process_time() - began < 2


def test_endless_empty_strings_are_refused(tmp_path: Path) -> None:
    """A hole of a terabyte claims as many empty strings as it has room for."""
    path = tmp_path / "m.gguf"
    path.write_bytes(
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 8, 1 << 36)
    )
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(GgufError, match="claims"):
        read(path)
