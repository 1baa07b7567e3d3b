"""What may be sent and never be told: the key and other headers, by the names of variables.

They are read from the environment where requests are sent, and stand in no event, error or log:
whatever a server says goes through `scrub`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llamatop.settings.servers import DEFAULT_KEY

_SHORTEST = 4
"""A value of fewer characters is no secret, and would tear holes into every text."""


class Secrets:
    """Headers with secret values, and the values themselves to take out of texts."""

    def __init__(
        self, key: str | None, headers: Iterable[tuple[str, str]], environment: Mapping[str, str]
    ) -> None:
        """`key` and the second of each of `headers` are names of variables; see `sent_headers`."""
        self.headers: dict[str, str] = {}
        value = environment.get(DEFAULT_KEY if key is None else key, "").strip()
        if value:
            self.headers["Authorization"] = f"Bearer {value}"
        for name, variable in headers:
            if name.lower() == "authorization":
                self.headers.pop("Authorization", None)
            self.headers[name] = environment.get(variable, "").strip()
        named = [environment.get(variable, "").strip() for _, variable in headers]
        self._values = sorted((one for one in [value, *named] if len(one) >= _SHORTEST), key=len)

    def scrub(self, text: str) -> str:
        """The text with `***` where a secret stood, the longest first."""
        for value in reversed(self._values):
            if value in text:
                text = text.replace(value, "***")
        return text
