"""Keep a copy of who has which tags, levels and values, and keep it up to date.

    python follow.py http://127.0.0.1:8000 copy.json

Needs nothing but Python. The key, where the server asks for one, stands in the environment as RULEENGINE_KEY. Each
time it is run, it reads what changed since the last time: nothing is left out and nothing comes twice, whatever is
published meanwhile.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen


def ask(server: str, path: str, body: Any = None) -> Any:
    """The answer to a GET, or to a POST of a body; waits where the server says so."""
    key = os.environ.get("RULEENGINE_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    request = Request(server + path, data, headers)
    while True:
        try:
            with urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            problem = json.load(error)
            if "Retry-After" not in error.headers:
                raise SystemExit(f"{problem['code']}: {problem['detail']}") from None
            time.sleep(int(error.headers["Retry-After"]))


def unknown(server: str, customers: list[str]) -> Iterator[str]:
    """Those of these customers whom the server does not know, or not any more."""
    for start in range(0, len(customers), 1000):
        yield from ask(server, "/v1/customers:batchGet", {"ids": customers[start : start + 1000]})["unknown"]


def follow(server: str, copy: Path) -> int:
    """Apply every change since the last time; answers how many there were."""
    kept: dict[str, Any] = json.loads(copy.read_text("utf-8")) if copy.exists() else {"cursor": None, "customers": {}}
    applied = 0
    more = True
    while more:
        after = f"&after={quote(kept['cursor'])}" if kept["cursor"] else ""
        page = ask(server, f"/v1/changes?limit=1000{after}")
        for change in page["changes"]:
            customer = kept["customers"].setdefault(change["customer"], {})
            place = f"{change['kind']} {change['name']}"
            if change["new"] is None:
                customer.pop(place, None)
            else:
                customer[place] = change["new"]
        if page["forgotten"]:  # The feed does not say who.
            for customer in list(unknown(server, list(kept["customers"]))):
                del kept["customers"][customer]
        # The place and what was read up to it are written together, so that neither can be lost alone.
        kept["cursor"], more = page["next_cursor"], page["more"]
        partial = copy.with_suffix(".partial")
        partial.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")
        partial.replace(copy)
        applied += len(page["changes"])
    return applied


if __name__ == "__main__":
    print(f"{follow(sys.argv[1].rstrip('/'), Path(sys.argv[2]))} changes")
