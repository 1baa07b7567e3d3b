"""What is here to be run: models, folders, recordings, the machine. Reads files, loads nothing.

A recording is known by its name and by its file's last bytes; neither polars nor the network is
needed. The start screen asks all this in a thread.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import structs

from llamatop.catalog.gguf import is_gguf
from llamatop.events.sanitize import one_line
from llamatop.recording.footer import MAGIC, Footer, footer_of
from llamatop.reports.models import Choice, choices, gguf, given_folders
from llamatop.tui.start.rows import Kept, typed

_PATHS = ("/", "./", "../", "~")
"""How a name begins that can only be meant as a folder."""

NEWEST = 50
"""Recordings that are listed."""

_LARGEST_FOOTER = 4 << 20
_NAME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}-(.+)")
_PARQUET, _JOURNAL = ".parquet", ".parquet.journal"


def models(folders: Iterable[Path] | None = None) -> list[Choice]:
    """Every model that can be named, and those in `folders`, or in those given to llamatop."""
    given = given_folders() if folders is None else folders
    found = [in_folder(path) for folder in given for path in _model_folders(folder)]
    return [*found, *choices()]


def _model_folders(folder: Path) -> list[Path]:
    """The folder itself where it is a model, else the models in it."""
    if (folder / "config.json").is_file():
        return [folder]
    signs = ("*/config.json", "*/*.safetensors")
    return sorted({file.parent for sign in signs for file in folder.glob(sign)})


def named(name: str) -> Choice:
    """What is known at once of a name that is typed: of a folder, what its files tell."""
    try:
        folder = Path(name).expanduser()
        if is_gguf(folder) and folder.is_file():
            return gguf(folder)
        if folder.is_dir():
            return in_folder(folder)
    except (OSError, RuntimeError, ValueError):  # too long, or the home of nobody
        return typed(name)
    if name.startswith(_PATHS):
        return replace(typed(name), unreadable="there is no such folder")
    return typed(name)


def in_folder(folder: Path) -> Choice:
    """A folder with a model; what its files do not tell is None."""
    config, unreadable = _config(folder)
    files, incomplete = _weights(folder)
    weights = sum(file.stat().st_size for file in files) or None
    dtype = str(config.get("dtype") or config.get("torch_dtype"))
    width = {"float32": 4, "bfloat16": 2, "float16": 2}.get(dtype)
    parameters = weights // width if weights and width else None
    context = config.get("max_position_embeddings")
    return Choice(
        str(folder),
        "folder",
        parameters,
        weights,
        context if isinstance(context, int) else None,
        unreadable,
        incomplete,
    )


def _config(folder: Path) -> tuple[dict[str, Any], str]:
    """The language model's part of `config.json`; or nothing, and why it cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except FileNotFoundError:
        return {}, "has no config.json"
    except OSError as error:
        return {}, f"config.json cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        return {}, "config.json is no JSON"
    if not isinstance(config, dict):
        return {}, "config.json is no JSON object"
    text = config.get("text_config", config)
    return (text if isinstance(text, dict) else {}), ""


def _weights(folder: Path) -> tuple[list[Path], str]:
    """The files of a folder's weights; or none, and why they cannot be loaded."""
    from llamatop.engines import weight_files  # noqa: PLC0415  (not for the first paint)

    try:
        return weight_files.check(folder), ""
    except weight_files.WeightsError as error:
        return [], str(error).removeprefix(str(folder)).lstrip(f"{os.sep} ")


def places() -> list[Path]:
    """Where recordings are kept when nobody says otherwise, and the folder that a person is in."""
    from platformdirs import user_data_path  # noqa: PLC0415  (not for the first paint)

    return [Path("recordings"), Path(), user_data_path("llamatop") / "recordings"]


def samples() -> Path:
    """The recordings that come with llamatop: of an installed one in it, else in its repository."""
    package = Path(__file__).parents[2]
    shipped = package / "samples"
    return shipped if shipped.is_dir() else package.parent / "recordings" / "samples"


def recordings(folders: Iterable[Path] | None = None) -> list[Kept]:
    """The newest recordings in some folders, newest first.

    Else those in the usual folders and those that are being made on this machine, then samples.
    """
    if folders is None:
        from llamatop.recording.holding import held_now  # noqa: PLC0415  (not for the first paint)

        shipped = recordings([samples()])
        here = _newest([*_files(places()), *held_now()])
        return [*here, *(structs.replace(kept, sample=True) for kept in shipped)]
    return _newest(_files(folders))


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from folder.glob(f"*{_PARQUET}")
        yield from folder.glob(f"*{_JOURNAL}")


def _newest(files: Iterable[Path]) -> list[Kept]:
    found: dict[Path, tuple[float, Path]] = {}
    for file in files:
        try:
            if file.is_file():  # not a folder, nor a pipe, of which reading would never end
                known = _recording(file).absolute()
                found.setdefault(known, (file.stat().st_mtime, file))
        except OSError:  # removed meanwhile, or a link in a circle
            continue
    newest = sorted(found.values(), reverse=True)[:NEWEST]
    kept = [_kept(file, modified) for modified, file in newest]
    kept = [one for one in kept if one.path.parent != Path() or _is_ours(one)]
    return sorted(kept, key=lambda one: one.started, reverse=True)


def _is_ours(kept: Kept) -> bool:
    """Whether a file of any folder is a recording at all."""
    return bool(kept.engine) or kept.state in ("cut off", "being recorded")


def _recording(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".journal"))


def _kept(file: Path, modified: float) -> Kept:
    """What a file tells of itself; what it does not is taken from its name and time."""
    path, size = _recording(file), file.stat().st_size
    parts = _NAME.fullmatch(path.name.removesuffix(_PARQUET))
    name, when = one_line(parts[1] if parts else path.stem), datetime.fromtimestamp(modified)
    if file != path:
        from llamatop.recording.holding import is_held  # noqa: PLC0415  (not for the first paint)

        return Kept(path, name, when, size, state="being recorded" if is_held(file) else "cut off")
    try:
        footer = read_footer(file)
    except (OSError, ValueError):
        return Kept(path, name, when, size, state="damaged")
    facts = {key.removeprefix("llamatop."): one_line(v) for key, v in footer.metadata.items()}
    return Kept(
        path,
        facts.get("model", name),
        _started(facts.get("started_at", ""), when),
        size,
        facts.get("engine", ""),
        footer.rows,
        "complete" if facts.get("complete", "true") == "true" else "stopped early",
    )


def _started(text: str, otherwise: datetime) -> datetime:
    """A time of a recording in local time, without its zone."""
    try:
        return datetime.fromisoformat(text).astimezone().replace(tzinfo=None)
    except (ValueError, OverflowError):
        return otherwise


def read_footer(path: Path) -> Footer:
    """The footer of a Parquet file, however long the file is; ValueError where there is none."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("it is no Parquet file")
        file.seek(-8, 2)
        length = int.from_bytes(file.read(8)[:4], "little")
        if length > _LARGEST_FOOTER:
            raise ValueError("its end is too long")
        file.seek(-8 - length, 2)
        return footer_of(MAGIC + file.read(length + 8))
