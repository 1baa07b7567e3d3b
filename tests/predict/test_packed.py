"""Where a quantised checkpoint stays packed: by the device, here or elsewhere, and its packages."""

import pytest
import torch

from llamatop.predict import packed
from llamatop.predict.devices import named
from llamatop.predict.stored import Stored


def held(method: str, device: str = "cuda", capability: tuple[int, int] | None = None) -> Stored:
    return packed.in_memory(Stored(method, {1: (2, 3)}), device, capability)


def is_packed(method: str, device: str = "cuda", name: str | None = None) -> bool:
    found = held(method, device, named(name).capability if name else None)
    assert found.method == (method if found.sizes else f"{method}, unpacked")
    return bool(found.sizes)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU of compute capability 8.0 is here, and no package with kernels."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(packed, "is_kernels_available", lambda: False)
    monkeypatch.setattr(packed, "is_triton_available", lambda _: True)
    return monkeypatch


def test_the_device_asked_about_decides_not_the_one_that_is_here(gpu: pytest.MonkeyPatch) -> None:
    assert is_packed("mxfp4", name="RTX 4090") and is_packed("fp8", name="RTX 4090")
    assert is_packed("mxfp4", name="A100 40GB") and not is_packed("fp8", name="A100 40GB")
    assert not is_packed("mxfp4", name="V100")
    gpu.setattr(torch.cuda, "is_available", lambda: False)
    assert is_packed("mxfp4", name="T4") and is_packed("fp8", name="MI300X")


def test_of_the_device_that_is_here_torch_and_the_packages_tell(gpu: pytest.MonkeyPatch) -> None:
    assert not is_packed("mxfp4") and not is_packed("fp8")
    assert "packages kernels and triton" in held("mxfp4").note
    gpu.setattr(packed, "is_kernels_available", lambda: True)
    assert is_packed("mxfp4") and held("mxfp4").note == ""
    gpu.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert is_packed("fp8")
    assert not is_packed("mxfp4", device="cpu") and not is_packed("fp8", device="mps")


def test_other_formats_do_not_depend_on_the_device() -> None:
    for method in ("gptq", "awq", "bitsandbytes", "torchao"):
        assert is_packed(method, device="cpu") and is_packed(method, name="V100")
    assert not is_packed("compressed-tensors", name="H100 SXM")


def test_the_note_says_what_was_assumed_or_why_it_is_unpacked() -> None:
    assert held("mxfp4", "cuda", (8, 9)).note == (
        "mxfp4 stays packed: compute capability 8.9, given the package kernels"
    )
    assert held("fp8", "cuda", (8, 6)).note == (
        "fp8 is unpacked below compute capability 8.9; this is 8.6"
    )
    assert held("mxfp4", "cpu").note == "mxfp4 is unpacked where there is no GPU"
    assert held("gptq", "cuda", (8, 6)).note == ""
