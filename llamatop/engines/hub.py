"""Models of the Hugging Face Hub: in its cache, or downloaded; each failure told in one line.

Asks for a model's description first, since that fails at once where there is no network, while
a download would be retried for half a minute. Honours `HF_TOKEN` and `hf auth login`; a token
or an address never enters a message.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import (
    HfApi,
    constants,
    errors,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.utils import validate_repo_id

from llamatop.catalog import find
from llamatop.engines import weight_files
from llamatop.engines.base import Progress
from llamatop.engines.hub_cache import hub_folder
from llamatop.errors import InputError

ANSWER_SECONDS = 2.0
"""The Hub describes a model in a fraction of this, or is not there."""
LOOK_SECONDS = 0.25
"""How often a download's progress is told."""

_WANTED = re.compile(r"[^/]*\.json|model[^/]*\.safetensors|tokenizer\.model|[^/]*\.(txt|jinja)")
_GIB = 2**30


def cached_model(model: str) -> Path | None:
    """The folder of a model in the Hub's cache, if it is there with all of its weights."""
    config = _cached(_checked_id(model), "config.json")
    if config is None:
        return None
    try:
        weight_files.check(config.parent)
    except weight_files.WeightsError:
        return None
    return config.parent


def download_model(model: str, progress: Progress) -> Path:
    """The folder of a model after its configuration, tokenizer and safetensors were fetched."""
    info = _described(model)
    files = [file for file in info.siblings or () if _WANTED.fullmatch(file.rfilename)]
    if not any(file.rfilename.endswith(".safetensors") for file in files):
        raise InputError(
            f"--model {model}: its weights are not in safetensors, and others can run code when "
            "they are read; use another model, or --weights random"
        )
    blobs = _Blobs(model, files)
    blobs.check_room(model)
    names = [file.rfilename for file in files]
    with _told(model), blobs.watched(progress):
        _is_given(model, names[0])
        folder = snapshot_download(model, allow_patterns=names, endpoint=_endpoint())
    return Path(folder)


def config_file(model: str) -> Path:
    """The `config.json` of a model, from the cache or fetched."""
    if cached := _cached(_checked_id(model), "config.json"):
        return cached
    _described(model)
    with _told(model):
        _is_given(model, "config.json")
        return Path(hf_hub_download(model, "config.json", endpoint=_endpoint()))


class _Blobs:
    """The files of a download as they grow in the Hub's cache."""

    def __init__(self, model: str, files: list[Any]) -> None:
        self._cache = Path(constants.HF_HUB_CACHE)
        self._folder = hub_folder(model) / "blobs"
        self._names = {file.lfs.sha256 if file.lfs else file.blob_id for file in files}
        self.total = sum(file.size or 0 for file in files)

    def done(self) -> int:
        """Bytes on the disk so far, of unfinished files too."""
        if not self._folder.is_dir():
            return 0
        ours = [
            file for file in self._folder.iterdir() if file.name.partition(".")[0] in self._names
        ]
        return min(sum(_size(file) for file in ours), self.total)

    def check_room(self, model: str) -> None:
        """Raise InputError if the rest does not fit the disk."""
        place = next(folder for folder in (self._cache, *self._cache.parents) if folder.is_dir())
        needed, free = self.total - self.done(), shutil.disk_usage(place).free
        if needed > free:
            raise InputError(
                f"--model {model}: its download takes {needed / _GIB:.1f} GiB and {place} has "
                f"{free / _GIB:.1f} GiB free; make room, or set HF_HOME to another disk"
            )

    @contextmanager
    def watched(self, progress: Progress) -> Iterator[None]:
        """Tell the progress while the body downloads."""
        ended = threading.Event()

        def tell() -> None:
            while not ended.wait(LOOK_SECONDS):
                progress("download", self.done(), self.total)

        teller = threading.Thread(target=tell, name="download progress", daemon=True)
        progress("download", self.done(), self.total)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()
        progress("download", self.total, self.total)


def _described(model: str) -> Any:
    """What the Hub says of a model, sizes of files included; checks that it may be read."""
    hub = HfApi(endpoint=_endpoint())
    with _told(model):
        info = hub.model_info(model, files_metadata=True, timeout=ANSWER_SECONDS)
        if info.gated:
            hub.auth_check(model)
    return info


def _is_given(model: str, name: str) -> None:
    """Ask once for a file; a download that is refused would be tried again for half a minute."""
    url = hf_hub_url(model, name, endpoint=_endpoint())
    get_hf_file_metadata(url, timeout=ANSWER_SECONDS, endpoint=_endpoint())


def _cached(model: str, name: str) -> Path | None:
    path = try_to_load_from_cache(model, name)
    return Path(path) if isinstance(path, str) else None


def _checked_id(model: str) -> str:
    try:
        validate_repo_id(model)
    except errors.HFValidationError:
        raise InputError(
            f"--model {model}: neither a folder here nor a Hugging Face id such as Qwen/Qwen3-0.6B"
        ) from None
    return model


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # renamed since it was listed
        return 0


@contextmanager
def _told(model: str) -> Iterator[None]:
    """Turn whatever the Hub's library raises to one line with the way on."""
    try:
        yield
    except Exception as error:
        way = "; or use --weights random" if find(model) else ""
        raise InputError(f"--model {model}: {_reason(error)}{way}") from error


def _reason(error: BaseException) -> str:
    """What went wrong and what to do; no text of the library's, which may hold addresses."""
    if isinstance(error, errors.LocalEntryNotFoundError):  # a download failed for another reason
        return _reason(error.__cause__ or ConnectionError())
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, errors.HfHubHTTPError):
        return _http_reason(error.response.status_code)
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
        return f"the download cannot be stored: {error.strerror or type(error).__name__}"
    return "not in the cache, and the Hub cannot be reached; check the network, or give a folder"


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (
        errors.GatedRepoError,
        "it is gated: accept its licence on its page, then run `hf auth login` or set HF_TOKEN",
    ),
    (errors.RevisionNotFoundError, "the Hub has no such revision; check the name"),
    (errors.EntryNotFoundError, "the Hub has no config.json of it; check the name"),
    (
        errors.RepositoryNotFoundError,
        "not on the Hub, or private; check the name, or run `hf auth login`",
    ),
    (
        errors.OfflineModeIsEnabled,
        "not in the cache, and HF_HUB_OFFLINE is set; unset it to download",
    ),
)
"""What each kind of error means; a gated one is also a missing one, so the order matters."""


def _http_reason(status: int) -> str:
    match status:
        case 401 | 403:
            return "the Hub refuses the token; run `hf auth login` again, or correct HF_TOKEN"
        case 404:
            return "not on the Hub; check the name"
        case 429:
            return "the Hub says too many requests (429); wait a few minutes, or log in"
        case _:
            return f"the Hub answers {status}; try again later, or give a local folder"
