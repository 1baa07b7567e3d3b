"""The tracer against published facts and against real runs counted storage by storage."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from llamatop.catalog import KnownModel, known_models
from llamatop.engines import architecture, paging
from llamatop.engines.devices import Place
from llamatop.engines.loading import generation_config
from llamatop.engines.random_weights import random_model
from llamatop.engines.resolve import Source
from llamatop.errors import InputError
from llamatop.figures.roofline import kv_bytes
from llamatop.predict import memory
from llamatop.predict.traced import STEPS, Ask, LayerKind, Peak, Shape, Trace
from llamatop.predict.tracer import trace

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
}
TIED = {**SMALL, "model_type": "llama", "architectures": ["LlamaForCausalLM"],
        "tie_word_embeddings": True}  # fmt: skip
SLIDING = {**SMALL, "model_type": "mistral", "architectures": ["MistralForCausalLM"],
           "sliding_window": 32}  # fmt: skip
MIXED = {**SMALL, "model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"], "head_dim": 16,
         "sliding_window": 32, "query_pre_attn_scalar": 16}  # fmt: skip
UNEVEN = {**MIXED, "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"],
          "layer_types": [*["sliding_attention"] * 5, "full_attention"]}  # fmt: skip
MOE = {**SMALL, "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"],
       "head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48,
       "decoder_sparse_step": 1}  # fmt: skip
MODELS = {"tied": TIED, "sliding": SLIDING, "mixed windows": MIXED, "experts": MOE}
DTYPES = ("float32", "bfloat16")


class RealStorages(TorchDispatchMode):
    """The most that the storages of a real run hold: the plainest way to count, for comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, Any] = {}
        """And some that have gone since `peak` was looked at."""
        self.at_most = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = {t.untyped_storage()._cdata for t in tree_iter((args, kwargs))
                 if isinstance(t, torch.Tensor)}  # fmt: skip
        for made in tree_iter(result):
            if isinstance(made, torch.Tensor):
                storage = made.untyped_storage()
                if storage._cdata not in given:
                    self.live[storage._cdata] = (
                        torch.multiprocessing.reductions.StorageWeakRef(storage), storage.nbytes()
                    )  # fmt: skip
                    self.at_most += storage.nbytes()
        if self.at_most > self.peak:
            self.live = {key: (ref, size) for key, (ref, size) in self.live.items()
                         if not ref.expired()}  # fmt: skip
            self.at_most = sum(size for _, size in self.live.values())
            self.peak = max(self.peak, self.at_most)
        return result


def real_peak(
    raw: dict[str, Any],
    dtype: torch.dtype,
    shape: Shape,
    sampling: dict[str, Any] | None = None,
) -> int:
    layout = architecture.read(Source("real", raw, None))
    place = Place(torch.device("cpu"), dtype)
    model = random_model(layout, place, 0, lambda *_: None)
    asked = transformers.GenerationConfig(**(sampling or {}))
    model.generation_config = generation_config(asked)
    prompts = torch.randint(3, 400, (shape.batch, shape.prompt))
    with torch.no_grad(), RealStorages() as counted:
        model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=shape.generated,
        )
    return counted.peak


@pytest.mark.parametrize("known", known_models(), ids=lambda known: known.id)
def test_parameters_and_cache_of_every_known_model_are_exact(known: KnownModel) -> None:
    found = trace(Ask(known.id, known.architecture()))
    assert found.parameters == known.parameters
    assert found.kv_bytes_per_token == known.kv_bytes_per_token
    assert found.dtype == "bfloat16" or known.dtype != "bfloat16"
    assert found.weights_bytes == 2 * found.parameters


def test_a_decode_step_reads_what_is_published() -> None:
    for known in known_models():
        if "Llama-4" in known.id:
            continue  # published for the chosen expert; transformers reads them all
        found = trace(Ask(known.id, known.architecture()))
        chosen = found.expert_bytes * found.experts_per_token / max(found.experts, 1)
        assert (found.read_bytes + chosen) / 2 == pytest.approx(
            known.decode_read_parameters, rel=0.005
        )


def test_llama_4_reads_all_its_experts() -> None:
    known = next(known for known in known_models() if "Llama-4" in known.id)
    found = trace(Ask(known.id, known.architecture()))
    assert found.expert_bytes == 0
    assert found.read_bytes == pytest.approx(213e9, rel=0.01)
    assert found.active_parameters == pytest.approx(17.2e9, rel=0.01)


def _each_in_one_dtype() -> Iterator[Any]:
    """Each model in one dtype by default, and in the other where there is time."""
    for place, name in enumerate(MODELS):
        first, other = DTYPES if place % 2 else DTYPES[::-1]
        yield name, first
        yield pytest.param(name, other, marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "dtype"), _each_in_one_dtype())
def test_the_traced_peak_is_the_real_one(name: str, dtype: str) -> None:
    raw, shapes = MODELS[name], (Shape(1, 100, 4), Shape(3, 100, 4), Shape(2, 16, 60))
    found = trace(Ask(name, raw, dtype=dtype, shapes=shapes))
    for shape in shapes:
        real = real_peak(raw, getattr(torch, dtype), shape)
        assert found.at(shape).total == pytest.approx(real, rel=0.04, abs=8192), shape


SAMPLED = {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.9}


@pytest.mark.parametrize("sampling", [{}, {"do_sample": True}, SAMPLED], ids=str)
def test_what_choosing_tokens_takes_is_counted(sampling: dict[str, Any]) -> None:
    wide = {**TIED, "vocab_size": 50_000, "num_hidden_layers": 1}
    shape = Shape(8, 4, 2)
    found = trace(Ask("wide", wide, dtype="bfloat16", shapes=(shape,), sampling=sampling))
    real = real_peak(wide, torch.bfloat16, shape, sampling)
    peak = found.at(shape)
    assert peak.total == pytest.approx(real, rel=0.01)
    assert peak.logits == pytest.approx(8 * 50_000 * 2, rel=0.01)
    assert peak.sampling >= 2 * 8 * 50_000 * 4, "this step's scores, and those of the last one"
    assert memory.predict(found, "batch", "cpu", shape).parts["sampling"] == peak.sampling
    assert 8 * 50_000 * 6 <= 8 * found.score_bytes <= peak.logits + peak.sampling


def test_few_layers_speak_for_many() -> None:
    shape = Shape(2, 64, 8)
    for raw in MODELS.values():
        deep = trace(Ask("deep", {**raw, "num_hidden_layers": 12}, shapes=(shape,)))
        half = trace(Ask("half", raw, shapes=(shape,)))
        flat = trace(Ask("flat", raw, layers=4, shapes=(shape,)))
        assert deep.parameters - half.parameters == 3 * (half.parameters - flat.parameters)
        grown = [deep.at(shape).cache - half.at(shape).cache,
                 half.at(shape).cache - flat.at(shape).cache]  # fmt: skip
        assert grown[0] == pytest.approx(3 * grown[1], rel=0.1)


def test_sliding_caches_stop_at_their_window() -> None:
    found = trace(Ask("sliding", SLIDING))
    assert found.kinds == (LayerKind(6, 2 * 2 * 16 * 2, 32),)
    assert kv_bytes(found, 10) == 10 * found.kv_bytes_per_token
    assert kv_bytes(found, 1000) == 32 * found.kv_bytes_per_token


def test_mixed_windows_grow_by_the_full_layers_only() -> None:
    found = trace(Ask("mixed", MIXED))
    assert sorted(kind.window or 0 for kind in found.kinds) == [0, 32]
    assert kv_bytes(found, 1000) - kv_bytes(found, 999) == found.kv_bytes_per_token // 2


def test_a_folder_with_a_config_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(MOE))
    found = trace(Ask(str(tmp_path), json.loads((tmp_path / "config.json").read_text())))
    assert (found.experts, found.experts_per_token) == (8, 2)
    assert found.active_parameters < found.parameters


def test_an_encoder_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="does not generate"):
        trace(Ask("bert", {"model_type": "bert", "architectures": ["BertForMaskedLM"]}))


def made_trace(*peaks: Peak) -> Trace:
    return Trace(
        dtype="bfloat16", parameters=500, active_parameters=500, weights_bytes=1000,
        read_bytes=800, expert_bytes=0, experts=0, experts_per_token=0, attention_width=8,
        context=None, kinds=(LayerKind(2, 10, None),), peaks=peaks, runtime_bytes=300,
    )  # fmt: skip


def test_parts_add_up_by_hand() -> None:
    shape = Shape(4, 8, 2)
    told = made_trace(Peak(shape, total=100, cache=60, logits=10, heap=50))
    found = memory.predict(told, "batch", "cpu", shape)
    assert found.parts["weights"] == 1000
    assert found.parts["kv cache"] == 60
    assert found.parts["activations"] == 30
    assert found.parts["logits"] == 10
    assert found.parts["allocator"] == round(memory.KEPT["batch"] * 50)
    assert found.parts["runtime"] == 300 + memory.FIRST_BYTES
    assert found.host_bytes == found.peak_bytes == sum(found.parts.values())
    assert found.device_bytes is None


def test_on_a_device_the_context_is_beside_what_torch_allocates() -> None:
    shape = Shape(4, 8, 2)
    told = made_trace(Peak(shape, 100, 60, 0, 0))
    found = memory.predict(told, "batch", "cuda", shape)
    assert found.device_bytes == 1100 + memory.WORKSPACE_BYTES
    lost = round(memory.FRAGMENTS["batch"] * 100)
    assert found.peak_bytes == found.device_bytes + lost + memory.CONTEXT_BYTES
    assert found.host_bytes is None


PLAIN, AVX512 = frozenset[str](), frozenset({"avx512bw"})


@pytest.mark.parametrize("flags", [PLAIN, AVX512], ids=["plain", "avx512"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_kernels_are_kept_where_onednn_makes_them(
    monkeypatch: pytest.MonkeyPatch, flags: frozenset[str], dtype: str
) -> None:
    monkeypatch.setattr(memory, "cpu_has", lambda flag: flag in flags)
    shape = Shape(4, 8, 2)
    told = msgspec.structs.replace(made_trace(Peak(shape, 100, 60, 10, 50)), dtype=dtype)
    kept = memory.predict(told, "batch", "cpu", shape).parts.get("kernels", 0)
    assert kept == (memory.KERNELS_BYTES if flags and dtype == "bfloat16" else 0)


@pytest.mark.parametrize("raw", [TIED, SLIDING, MIXED, UNEVEN], ids=lambda raw: raw["model_type"])
def test_masks_of_continuous_batching_are_those_that_transformers_makes(
    raw: dict[str, Any],
) -> None:
    layout = architecture.read(Source("real", raw, None))
    place = Place(torch.device("cpu"), torch.float32)
    model = random_model(layout, place, 0, lambda *_: None)
    requests, prompt, tokens = 8, 190, 200
    wanted = paging.settings(model, paging.Pool(requests, prompt, tokens), place.device, 0)
    manager = model.init_continuous_batching(continuous_batching_config=wanted)
    masks = manager._create_batch_processor().inputs_and_outputs.attention_mask
    made = sum(mask.numel() for mask in masks.values())
    told = trace(Ask("real", raw, None, "float32"))
    pool = requests * (-(-tokens // memory.CPU_PAGE) + 1) + memory.SPARE_PAGES
    said = memory.mask_places(told, wanted.max_batch_tokens, pool * memory.CPU_PAGE)
    assert made <= said <= 1.03 * made


def test_continuous_batching_reads_the_requests_that_are_under_way() -> None:
    """Four tokens each: before the sixth prompt is through, the first request has ended."""
    steps = (Peak(one, 10, 5, 0, 0) for one in STEPS)
    told = msgspec.structs.replace(made_trace(*steps), attention_width=4096, dtype="float32")

    def taken(requests: int, tokens: int) -> int:
        found = memory.predict(told, "continuous", "cpu", Shape(requests, 512, tokens))
        pages = requests * (-(-(512 + tokens) // memory.CPU_PAGE) + 1) + memory.SPARE_PAGES
        masks = memory.mask_places(told, 512, pages * memory.CPU_PAGE) * 4
        return found.parts["activations"] + found.parts["sampling"] - masks

    assert taken(2, 4) < taken(4, 4) == taken(100, 4) == taken(250, 4)
    assert taken(16, 64) < taken(32, 64) < taken(100, 64)


def test_threads_take_one_request_each() -> None:
    told = made_trace(Peak(Shape(1, 8, 2), 100, 60, 0, 50))
    assert memory.predict(told, "threads", "cpu", Shape(3, 8, 2)).parts["kv cache"] == 180


def test_batches_between_traced_ones_lie_on_the_line() -> None:
    told = made_trace(Peak(Shape(1, 8, 2), 100, 60, 0, 0), Peak(Shape(5, 8, 2), 500, 260, 0, 0))
    assert told.at(Shape(3, 8, 2)).total == 300
    assert told.at(Shape(9, 8, 2)).total == 900
    with pytest.raises(LookupError):
        told.at(Shape(3, 9, 2))
