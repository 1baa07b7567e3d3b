"""Turns a resolved model to a loaded one: weights on the device, prompts, detokenizer, facts.

Knows torch and transformers; nothing of where a model comes from (`resolve`) or how requests
are scheduled (the engines). Executes no code that comes with a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers.initialization import no_init_weights
from transformers.utils import logging

from llamatop.engines import architecture, devices, offload, quantize, tensor_parallel, weight_files
from llamatop.engines.architecture import Layout
from llamatop.engines.base import Detokenizer, EngineMemoryError, Progress
from llamatop.engines.detokenize import make_detokenizer
from llamatop.engines.devices import Place
from llamatop.engines.given import given_prompts
from llamatop.engines.prompts import Prompts
from llamatop.engines.random_weights import (
    random_model,
    random_quantized,
    random_shared,
    weight_bytes,
)
from llamatop.engines.ranks import Ranks, lead
from llamatop.engines.resolve import Source
from llamatop.engines.tokenizer import load_tokenizer
from llamatop.errors import InputError
from llamatop.events.kinds import ModelLoaded
from llamatop.hardware.memory import mapped_blocks
from llamatop.settings.config import RunConfig

SAMPLING = ("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p")
"""What is kept of a checkpoint's own way to choose tokens."""


@dataclass(slots=True)
class Loaded:
    """A model that can generate, with what it takes to ask it and to read it."""

    model: Any
    """A transformers model in evaluation mode; its `generation_config` ignores end of text."""
    device: torch.device
    prompts: Prompts
    detokenizer: Detokenizer
    facts: ModelLoaded
    """All but the engine's name, which is not settled yet."""
    folder: offload.Folder | None = None
    """Holds weights that are offloaded to disk, as long as the model is used."""
    ranks: Ranks | None = None
    """Those that hold the other parts of it; None: it is whole here."""


def load(
    config: RunConfig,
    source: Source,
    progress: Progress,
    meet: Callable[[RunConfig, torch.device], Ranks] = lead,
) -> Loaded:
    """Load the model of `source` as `config` wants it, this rank's part of it where it is split.

    `meet`: how the ranks come together.

    Raises InputError for what a person can mend and EngineMemoryError when memory ends.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    device = devices.pick_device(config.device)
    offload.check_device(config, device)
    devices.settle(device)
    layout = architecture.read(source, config.layers)
    ranks = None
    if config.tp > 1:
        tensor_parallel.check(config, source, layout, device)
        ranks = meet(config, device)
        device = ranks.device
    place = devices.Place(device, devices.pick_dtype(config.dtype, layout.dtype, device))
    tokenizer = load_tokenizer(source.folder)
    given = given_prompts(config, source, tokenizer)
    ours = quantize.by_torch(config.quantize, device.type, place.dtype)
    if config.quantize != "none" and not ours:
        quantize.check_library(config.quantize)
    try:
        with mapped_blocks() if config.quantize != "none" else nullcontext():
            model, folder = _placed(config, source, layout, place, progress)
            if config.quantize != "none":
                quantize.settle(model, device)
    except devices.MEMORY_ERRORS as error:
        if devices.is_memory_error(error):
            raise EngineMemoryError(f"no memory left for the weights: {error}") from error
        raise
    _multiply_head_once(model)
    model.generation_config = generation_config(model.generation_config)
    torch.manual_seed(config.seed)
    prompts = Prompts.make(tokenizer, int(layout.text.vocab_size), layout.special_ids, config.seed)
    prompts.given = given
    held = weight_bytes(model)
    if ranks is not None:
        held = ranks.total(held)
    return Loaded(
        model=model,
        device=device,
        prompts=prompts,
        detokenizer=make_detokenizer(tokenizer),
        facts=_facts(config, source, layout, model, place, held=held),
        folder=folder,
        ranks=ranks,
    )


def _multiply_head_once(model: Any) -> None:
    """Let torch multiply the last tokens of all requests with the head's matrix at once: with one
    that asks for no gradients it goes request by request, and oneDNN writes a copy out for each."""
    weight = getattr(model.get_output_embeddings(), "weight", None)
    if isinstance(weight, torch.nn.Parameter) and weight.is_floating_point():
        weight.requires_grad_(True)


def _placed(
    config: RunConfig, source: Source, layout: Layout, place: Place, progress: Progress
) -> tuple[Any, offload.Folder | None]:
    """The model where its weights are to lie, and the folder of those on disk."""
    if config.offload == "none":
        return _weights(config, source, layout, place, progress), None
    host = Place(torch.device("cpu"), place.dtype)
    if config.offload == "cpu":
        model = _weights(config, source, layout, host, progress)
        return offload.to_host(model, place.device), None
    folder = offload.make_folder(_on_meta(layout, place), _stored(source))
    try:
        return _weights(config, source, layout, place, progress, disk=folder.name), folder
    except BaseException:
        folder.cleanup()
        raise


def _stored(source: Source) -> set[str]:
    """Names of the checkpoint's tensors."""
    return weight_files.tensors(source.folder) if source.folder is not None else set()


def _weights(
    config: RunConfig,
    source: Source,
    layout: Layout,
    place: Place,
    progress: Progress,
    *,
    disk: str | None = None,
) -> Any:
    """`disk`: leave them on disk, with this folder for those that must be written anew."""
    how, seed = config.quantize, config.seed
    if source.folder is None and config.tp > 1:
        return random_shared(layout, place, config.tp, seed, progress)
    if source.folder is None and how == "none":
        return random_model(layout, place, seed, progress)
    if source.folder is None:
        return random_quantized(layout, place, how, seed, progress)
    total = sum(file.stat().st_size for file in weight_files.check(source.folder))
    progress("weights", 0, total)
    hook = logging.set_tqdm_hook(lambda _, args, kwargs: _Told(args, kwargs, total, progress))
    try:
        more = _quantized(config, layout, place)
        if config.tp > 1:
            more = tensor_parallel.settings(config.tp)
        if disk is not None:
            more |= {"device_map": offload.DEVICE_MAP, "offload_folder": disk}
        model = _trained(source, layout, place, more)
        if quantize.by_torch(how, place.device.type, place.dtype):
            total = weight_bytes(model)
            quantize.by_layers(model, how, lambda done: progress("quantizing", done, total))
        return model
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        if devices.is_memory_error(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"--model {source.model}: cannot be loaded: {reason}") from error
    finally:
        logging.set_tqdm_hook(hook)


def _quantized(config: RunConfig, layout: Layout, place: Place) -> dict[str, Any]:
    """What transformers is told to quantise; nothing where that is not its library's part."""
    how = config.quantize
    if how == "none" or quantize.by_torch(how, place.device.type, place.dtype):
        return {}
    model = _on_meta(layout, place)
    chosen = quantize.matrices(model, config.quantize)
    kept = quantize.skipped(model, chosen)
    return {"quantization_config": quantize.settings(config.quantize, place.dtype, kept)}


def _on_meta(layout: Layout, place: Place) -> Any:
    with no_init_weights(), torch.device("meta"):
        return layout.kind._from_config(layout.config, dtype=place.dtype)


def _trained(source: Source, layout: Layout, place: Place, more: dict[str, Any]) -> Any:
    """The checkpoint's model; ValueError if it lacks a weight, which would be left random."""
    model, found = layout.kind.from_pretrained(
        source.folder,
        config=layout.config,
        dtype=place.dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        **(more if "distributed_config" in more else {"device_map": {"": place.device}} | more),
    )
    if missing := sorted(found["missing_keys"]):
        raise ValueError(f"{len(missing)} of its weights are missing, such as {missing[0]}")
    return model.eval()


class _Told:
    """Stands in for transformers' progress bar; tells the share of tensors done, as bytes."""

    def __init__(
        self, args: Sequence[Any], kwargs: dict[str, Any], total: int, progress: Progress
    ) -> None:
        self._items = args[0] if args else kwargs.get("iterable", ())
        self._total = total
        self._progress = progress

    def __iter__(self) -> Iterator[Any]:
        count = len(self._items)
        for done, item in enumerate(self._items):
            yield item
            self._progress("weights", self._total * (done + 1) // count, self._total)

    def __getattr__(self, _: str) -> Any:
        return lambda *args, **kwargs: None


def generation_config(checkpoint: Any) -> Any:
    """Samples as the checkpoint asks, one sequence for each prompt, to the length asked for."""
    wanted = {name: getattr(checkpoint, name, None) for name in SAMPLING}
    kept = {name: value for name, value in wanted.items() if value is not None}
    if not kept.get("do_sample"):
        kept = {"do_sample": False}
    return transformers.GenerationConfig(**kept, eos_token_id=None, pad_token_id=None)


def _facts(
    config: RunConfig,
    source: Source,
    layout: Layout,
    model: Any,
    place: Place,
    *,
    held: int,
) -> ModelLoaded:
    return ModelLoaded(
        time=0,
        engine="",
        engine_reason="",
        device=str(place.device),
        device_name=devices.name_of(place.device),
        dtype=str(place.dtype).removeprefix("torch."),
        weights="random" if source.folder is None else "trained",
        parameters=_parameters(layout, model, place),
        weights_bytes=held,
        layers=layout.layers,
        whole_layers=layout.whole_layers,
        context=source.context,
        threads=torch.get_num_threads(),
        versions=_versions(config, place),
        quantization=config.quantize if config.quantize != "none" else _method(model),
        offload="" if config.offload == "none" else config.offload,
        tp=config.tp,
    )


def _parameters(layout: Layout, model: Any, place: Place) -> int:
    """Tied weights once; a quantised checkpoint may pack several weights in one number."""
    counted = _on_meta(layout, place) if _method(model) else model
    counted.tie_weights()
    return sum(quantize.parameter_count(part) for part in counted.parameters())


def _method(model: Any) -> str:
    """How the weights that were loaded are quantised, as their config calls it; empty: not."""
    if getattr(model, "hf_quantizer", None) is None:
        return ""
    method = model.config.quantization_config.quant_method
    return str(getattr(method, "value", method))


def _versions(config: RunConfig, place: Place) -> dict[str, str]:
    """Of the libraries that generate."""
    used = {"torch": str(torch.__version__), "transformers": transformers.__version__}
    if config.offload != "none":
        used["accelerate"] = version("accelerate")
    if config.quantize != "none" and not quantize.by_torch(
        config.quantize, place.device.type, place.dtype
    ):
        used[quantize.LIBRARY] = version(quantize.LIBRARY)
    return used
