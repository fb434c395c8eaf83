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
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen


def ask(server: str, path: str) -> Any:
    """The answer to a GET; waits where the server says so."""
    key = os.environ.get("RULEENGINE_KEY")
    request = Request(server + path, headers={"Authorization": f"Bearer {key}"} if key else {})
    while True:
        try:
            with urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            problem = json.load(error)
            if "Retry-After" not in error.headers:
                raise SystemExit(f"{problem['code']}: {problem['detail']}") from None
            time.sleep(int(error.headers["Retry-After"]))


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
        # The place and what was read up to it are written together, so that neither can be lost alone.
        kept["cursor"], more = page["next_cursor"], page["more"]
        partial = copy.with_suffix(".partial")
        partial.write_text(json.dumps(kept, ensure_ascii=False), "utf-8")
        partial.replace(copy)
        applied += len(page["changes"])
    return applied


if __name__ == "__main__":
    print(f"{follow(sys.argv[1].rstrip('/'), Path(sys.argv[2]))} changes")
