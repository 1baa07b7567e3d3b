"""A bare aiohttp loop: sends completions, stamps every read and splits it into events. No more.

What llamatop's client and screen cost is told beside it (`client.py`, `serving.py`). Prints one
JSON object once all is read: seconds from the first request to the last byte, events, tokens that
the server counted, and how long each request took to its first event.

    python benchmarks/bare.py http://127.0.0.1:8000 --concurrency 8 --requests 16 --gen-toks 64
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from llamatop.engines.server.engine import new_loop

END = b"\n\n"


class Load:
    """So many requests at once until none is left."""

    def __init__(self, url: str, bodies: Iterator[dict[str, Any]], reuse: bool) -> None:
        self.url, self.bodies, self.reuse = url, bodies, reuse
        self.stamps: list[int] = []
        self.tokens = 0

    async def run(self, concurrency: int) -> None:
        """Send them all."""
        connector = aiohttp.TCPConnector(limit=0, force_close=not self.reuse)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._one_after_another(session) for _ in range(concurrency)))

    async def _one_after_another(self, session: aiohttp.ClientSession) -> None:
        for body in self.bodies:
            await self._request(session, body)

    async def _request(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> None:
        rest, last, stamps = b"", b"", self.stamps
        async with session.post(self.url + "/v1/completions", json=body) as answer:
            answer.raise_for_status()
            async for data in answer.content.iter_any():
                now = time.monotonic_ns()
                *events, rest = (rest + data).split(END)
                for event in events:
                    stamps.append(now)
                    last = event if b'"usage"' in event else last
        if last:
            self.tokens += json.loads(last.removeprefix(b"data: "))["usage"]["completion_tokens"]


def main() -> None:
    """Send the load, print what came."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--gen-toks", type=int, default=64)
    parser.add_argument("--model", default="")
    parser.add_argument(
        "--prompts", type=Path, help="a file of JSON: a list of prompts, used in turn"
    )
    parser.add_argument(
        "--reuse", action="store_true", help="connections, where the server keeps them"
    )
    args = parser.parse_args()
    prompts = json.loads(args.prompts.read_bytes()) if args.prompts else ["Once upon a time"]
    fixed = {"model": args.model, "max_tokens": args.gen_toks, "temperature": 0, "stream": True}
    fixed |= {"ignore_eos": True, "cache_prompt": False, "stream_options": {"include_usage": True}}
    bodies = ({"prompt": prompts[n % len(prompts)], **fixed} for n in range(args.requests))
    load, loop = Load(args.url, bodies, args.reuse), new_loop()
    start = time.monotonic_ns()
    loop.run_until_complete(load.run(args.concurrency))
    seconds = (time.monotonic_ns() - start) / 1e9
    told = {"seconds": seconds, "events": len(load.stamps), "tokens": load.tokens}
    json.dump(told | {"loop": type(loop).__module__}, sys.stdout)


if __name__ == "__main__":
    main()
