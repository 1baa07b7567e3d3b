"""A Hub on this machine, as far as llamatop asks one: descriptions, files, and refusals."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(ThreadingHTTPServer):
    """Serves `files` of the model `name`; `refusals` maps a part of a path to (status, code)."""

    daemon_threads = True

    def __init__(self, name: str, files: dict[str, bytes], gated: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.name, self.files, self.gated = name, files, gated
        self.refusals: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def description(self) -> dict[str, Any]:
        siblings = [
            {"rfilename": name, "size": len(body), "blobId": etag(body)}
            for name, body in self.files.items()
        ]
        gated = "manual" if self.gated else False
        return {"id": self.name, "sha": SHA, "gated": gated, "siblings": siblings}

    def tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(body), "oid": etag(body)}
            for name, body in self.files.items()
        ]


def etag(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


class _Answer(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.server, urlsplit(self.path).path
        hub.asked.append(f"{self.command} {path}")
        hub.tokens.add(self.headers.get("Authorization"))
        for part, (status, code) in hub.refusals.items():
            if part in path:
                self._send(status, b"{}", {"X-Error-Code": code} if code else {})
                return
        if path.endswith("/auth-check"):
            self._send(200, b"{}")
        elif f"/api/models/{hub.name}/tree/" in path:
            self._send(200, json.dumps(hub.tree()).encode())
        elif path.startswith(f"/api/models/{hub.name}"):
            self._send(200, json.dumps(hub.description()).encode())
        elif (name := path.rpartition("/")[2]) in hub.files and f"{hub.name}/resolve" in path:
            body = hub.files[name]
            self._send(200, body, {"ETag": f'"{etag(body)}"', "X-Repo-Commit": SHA})
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
