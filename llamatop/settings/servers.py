"""What is asked of a run that drives servers, checked: addresses, names of variables, what clashes.

Knows no socket. No message repeats a value that could be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

from llamatop.errors import InputError

DEFAULT_KEY = "OPENAI_API_KEY"
"""The variable of the key where none is named."""

_HERE = ("localhost", "::1")

_PATHS = re.compile(r"/(chat/)?(completions|models|responses)$")
"""What a client appends by itself."""

_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):\d+([/?#]\S*)?")
"""`localhost:8000`, which no model is called."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN = re.compile(r"[A-Z][A-Z0-9_]{0,40}")
"""Names that are plainly those of variables, and may be repeated."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset(("host", "content-length", "content-type", "transfer-encoding"))


def base_urls(texts: Iterable[str]) -> tuple[str, ...]:
    """Each address as it is kept: without `/v1` and a slash at its end; InputError if it is bad."""
    urls = tuple(base_url(text) for text in texts)
    twice = next((url for url in urls if urls.count(url) > 1), None)
    if twice is not None:
        raise InputError(f"--url {twice}: given twice; name each server once")
    return urls


def with_scheme(text: str) -> str:
    """`http://` before a host and its port; any other text as it is."""
    return f"http://{text}" if _HOST.fullmatch(text) else text


def base_url(text: str) -> str:
    """One address, with or without `/v1`; InputError where nothing could be reached by it.

    A host and its port alone are taken as http.
    """
    parts = _split(with_scheme(text))
    path = parts.path.rstrip("/")
    if found := _PATHS.search(path):
        raise InputError(
            f"--url {_shown(parts)}: ends in {found.group()}; give what stands before it, "
            "and --endpoint for chat"
        )
    return f"{parts.scheme.lower()}://{parts.netloc}{path.removesuffix('/v1')}"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InputError("--url: no address, or no port; as in http://127.0.0.1:8000") from None
    if "@" in text:
        raise InputError(
            "--url: holds a user or a password; leave it out, and send it with "
            "--header Authorization=VARIABLE"
        )
    if parts.query or parts.fragment:
        raise InputError(
            f"--url {_shown(parts)}: a query could hold a secret, and would be recorded; "
            "leave it out, and send a key with --header NAME=VARIABLE"
        )
    if parts.scheme.lower() not in ("http", "https") or not host:
        raise InputError(
            f"--url {text}: must begin with http:// or https:// and name a host, or be HOST:PORT"
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise InputError("--url: holds a blank or another character that no address has")
    return parts


def _shown(parts: SplitResult) -> str:
    """An address without what follows its path."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def host_of(url: str) -> str:
    """Host and port of an address, for a person to read."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_here(url: str) -> bool:
    """Whether an address leads to this machine itself."""
    host = urlsplit(url).hostname or ""
    return host in _HERE or host.startswith("127.")


def port_of(url: str) -> int:
    """The port that an address leads to."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def ports_here(urls: Sequence[str]) -> tuple[int, ...]:
    """The ports of servers that are all on this machine; none where one is elsewhere."""
    return tuple(map(port_of, urls)) if all(map(is_here, urls)) else ()


def parse_headers(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Headers from `NAME=ENVVAR`; InputError where that cannot be read."""
    return tuple(_header(text) for text in texts)


def _header(text: str) -> tuple[str, str]:
    name, given, variable = text.partition("=")
    if not given or not _HEADER.fullmatch(name) or not _VARIABLE.fullmatch(variable):
        told = f" {name}=…" if given and _HEADER.fullmatch(name) else ""
        raise InputError(
            f"--header{told}: takes NAME=VARIABLE; the value stands in that variable, never here"
        )
    if name.lower() in _OWN_HEADERS:
        raise InputError(f"--header {name}=…: llamatop sets this header itself")
    return name, variable


def is_variable(name: str) -> bool:
    """Whether a variable of the environment could have that name."""
    return _VARIABLE.fullmatch(name) is not None


def check_secrets(
    key: str | None, headers: Iterable[tuple[str, str]], environment: Mapping[str, str]
) -> None:
    """Raise InputError where a variable that holds the key or a header is not usable."""
    wanted = [("--api-key-env ", key)] if key else []
    wanted += [(f"--header {name}=", variable) for name, variable in headers]
    for option, variable in wanted:
        value = environment.get(variable, "")
        named = variable if _SHOWN.fullmatch(variable) else "…"
        if not value.strip():
            raise InputError(f"{option}{named}: the variable of that name is not set, or empty")
        if not value.isprintable() or not value.isascii():
            raise InputError(
                f"{option}{named}: the value of that variable has a line break or a character "
                "that no header may have"
            )


def sent_headers(
    key: str | None, headers: Iterable[tuple[str, str]], environment: Mapping[str, str]
) -> dict[str, str]:
    """The headers that a server which was named is sent; secrets, so never kept or shown.

    `key`: the variable of the key; None: the usual one; empty: none is sent.
    """
    sent = {name: environment[variable] for name, variable in headers}
    value = environment.get(DEFAULT_KEY if key is None else key, "").strip()
    if value and not any(name.lower() == "authorization" for name in sent):
        sent["Authorization"] = f"Bearer {value}"
    return sent
