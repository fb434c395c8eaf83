"""`make bench-api`: what an answer costs, in multiples of one that is always the same. Needs wrk (Debian's package).

The servers are asked in turn, each between two rounds of its yardstick. By CPU is what a server's own process took,
which others at work on the machine hardly change. Aims are printed beside the figures, and nothing fails for being
slow.

SCALE=full is a million customers, SCALE=0.02 a fiftieth of that.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

from ruleengine.settings import Scope
from ruleengine.verbs import keys
from tests.bench.data import KEPT, LAST_DAY, ruleset_of, scale, shop
from tests.bench.measuring import Taken, mean, middle
from tests.bench.rules import rules

SCRIPT = Path(__file__).with_name("ask.lua")
RULES = 30
ROUNDS = 5
SECONDS = 2
CONNECTIONS = 8
CALM = 4
"""Connections that each wait some milliseconds before they ask again, so that answers wait for no others."""
PAUSE = 10
RUNS = 4
"""Runs beside which readers wait, with a while before each in which nothing else is at work."""
DAY = LAST_DAY - timedelta(days=1 + RUNS)
VERB = ("-c", "import sys; from ruleengine.cli import main; sys.exit(main())")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    process: subprocess.Popen[str]
    url: str

    def seconds(self) -> float:
        """Of the processors, so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def mebibytes(self, what: str) -> float:
        """VmRSS, VmHWM, … of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{what}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024


@dataclass(frozen=True, slots=True)
class Asking:
    """What wrk asks of a server."""

    server: Server
    kind: str
    key: str
    customers: int

    def load(self) -> Taken:
        """Seconds for an answer, where as many are asked for as the server can give."""
        before = self.server.seconds()
        found = self._asked(CONNECTIONS, 0, SECONDS)
        clock = found["microseconds"] / 1e6
        return Taken(clock / found["requests"], (self.server.seconds() - before) / found["requests"])

    def calm(self) -> Mapping[str, float]:
        """Microseconds that answers took, as `p50` and `p99`, where the server has time."""
        return self._asked(CALM, PAUSE, 1)

    def _asked(self, connections: int, pause: int, seconds: int) -> dict[str, float]:
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", str(seconds)]
        script = ["--script", str(SCRIPT), self.server.url, "--", self.kind, self.key, str(self.customers), str(pause)]
        said = subprocess.run([*command, *script], check=True, capture_output=True, text=True).stdout
        found: dict[str, float] = json.loads(said.strip().splitlines()[-1])
        assert not found["failed"], said
        return found


def main() -> None:
    if not shutil.which("wrk"):
        sys.exit("This needs wrk. On Debian and Ubuntu: apt-get install -y wrk")
    made = shop(scale(), KEPT)
    folder = ruleset_of(made, KEPT / "served", rules(RULES).text)
    _run(folder, DAY).communicate()
    scopes: list[Scope] = ["tags:read", "runs:execute"]
    secret = keys.create(folder, "default", "bench", scopes, expires=None, actor="bench").secret
    print(f"{made.customers:,} customers, {RULES} rules")
    serve = [*VERB, "serve", str(folder), "--port", "0", "--rate", str(10**9)]
    print(f"{'Seconds':58} {'by clock':>10} {'by CPU':>10}")
    _line("from the start of a server to its first answer", _start(serve, secret), "aim: at most 2")
    with ExitStack() as stack:
        served = stack.enter_context(_started(*serve))
        (KEPT / "constant.json").write_bytes(_ask(served, secret, "/v1/customers/1"))
        idle = served.mebibytes("VmRSS")
        starlette, fastapi = (
            stack.enter_context(_started("-m", "tests.bench.constant", kind, str(KEPT / "constant.json")))
            for kind in ("starlette", "fastapi")
        )
        read = Asking(served, "read", secret, made.customers)
        batch = Asking(served, "batch", secret, made.customers)
        plain = Asking(starlette, "constant", secret, made.customers)
        framed = Asking(fastapi, "constant", secret, made.customers)

        print(f"{'Speeds':58} {'by clock':>10} {'by CPU':>10}")
        _line("a read / a constant answer of Starlette", _speed(read, plain), "aim: at least 0.8")
        _line("a read / a constant answer of FastAPI", _speed(read, framed), "aim: at least 0.95")
        _line("customers of a batch of 100 / reads", _speed(batch, read).times(100))

        print("Waiting for an answer, by clock" + " " * 33 + "half" + " " * 7 + "99%")
        quiet, busy = [], []
        for number in range(1, RUNS + 1):
            quiet += [read.calm() for _ in range(ROUNDS)]
            run = _run_by(served, secret, DAY + timedelta(days=number))
            while _is_running(served, secret, run):
                busy.append(read.calm())
        half, most = (median(each[of] for each in busy) / median(each[of] for each in quiet) for of in ("p50", "p99"))
        print(f"  {'while a run is at work / otherwise':<56} {half:>10.2f} {most:>10.2f}   aim: 99% at most 1.5")

        print(f"{'Memory of the server, in MiB':58} {'at first':>10} {'at most':>10}")
        print(f"  {'':<56} {idle:>10,.0f} {served.mebibytes('VmHWM'):>10,.0f}")


def _line(what: str, found: Taken, aim: str = "") -> None:
    print(f"  {what:<56} {found.clock:>10.2f} {found.processors:>10.2f}   {aim}".rstrip(), flush=True)


def _speed(work: Asking, yardstick: Asking) -> Taken:
    """In multiples of the yardstick's: the median of rounds. One round before does not count."""
    found = []
    before = yardstick.load()
    for _ in range(ROUNDS + 1):
        taken, after = work.load(), yardstick.load()
        found.append(mean(before, after).over(taken))
        before = after
    return middle(found[1:])


def _run(folder: Path, day: date) -> subprocess.Popen[bytes]:
    command = [sys.executable, *VERB, "run", str(folder), "--as-of", str(day), "--actor", "bench"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _run_by(server: Server, secret: str, day: date) -> str:
    """A run that the server is asked for, by its path."""
    asked = _ask(server, secret, "/v1/runs", json.dumps({"as_of": day.isoformat()}).encode())
    return f"/v1/runs/{json.loads(asked)['id']}"


def _is_running(server: Server, secret: str, run: str) -> bool:
    told = json.loads(_ask(server, secret, run))
    assert told["state"] in ("running", "published"), told
    return bool(told["state"] == "running")


def _start(serve: Sequence[str], secret: str) -> Taken:
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with _started(*serve) as server:
            _ask(server, secret, "/v1/customers/1")
            found.append(Taken(time.perf_counter() - began, server.seconds()))
    return middle(found)


@contextmanager
def _started(*command: str) -> Iterator[Server]:
    """A server in a process of its own that says where it is."""
    with (KEPT / "server.log").open("a") as log:
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"on (http://\S+)", process.stdout.readline())
        assert found, command
        yield Server(process, found[1])
    finally:
        process.terminate()
        process.communicate()


def _ask(server: Server, secret: str, path: str, body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    with urlopen(Request(f"{server.url}{path}", body, headers)) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    main()
