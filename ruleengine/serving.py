"""The one door to the HTTP package.

`api/` is installed as `ruleengine.api` (see pyproject.toml). A checker sees the folder under its own name, so this
door names it in a string.
"""

import gc
import ipaddress
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.messages import wording
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.schema import DEFAULT_PROFILE, Manifest
from ruleengine.settings import Serving
from ruleengine.verbs.outcome import NotUsableError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from starlette.types import ASGIApp

    from ruleengine.store.store import Store

BACKLOG = 1024
KEEP_ALIVE = 30
"""Seconds that a connection may be idle."""
LOOK_EVERY = 0.2
"""Seconds between looks at whether all workers are there."""
BEFORE_ANOTHER = 1.0
"""Seconds before another worker takes the place of one that ended: what ended that one may last."""
LAST_ANSWERS = 10
"""Seconds that are left to requests under way when the server is told to stop."""


def app(
    store: "Store",
    manifest: Manifest,
    *,
    profile: str = DEFAULT_PROFILE,
    local: bool = True,
    rate: int | None = None,
    today: Callable[[], date] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    log: Any = None,
) -> "ASGIApp":
    """The HTTP application over a store, which stays the caller's to close. `profile` is the one that runs are of.

    `local`: it answers to this machine alone, and without keys as long as none was ever given. `rate`: requests a
    second for each key. `log`: an `api.logs.Log`, where requests are to be logged.
    """
    create: Callable[..., ASGIApp] = _api("app").create_app
    return create(store, manifest, profile=profile, local=local, rate=rate, today=today, stopping=stopping, log=log)


def _api(module: str) -> Any:
    return import_module(f"ruleengine.api.{module}")


def serve(settings: Serving) -> None:
    """Answer over HTTP until told to stop; ProblemError where it cannot begin."""
    from ruleengine.verbs import published

    address = "127.0.0.1" if settings.host == "localhost" else settings.host
    local = _is_local(address)
    with ExitStack() as stack:
        with published.opened(settings.ruleset, settings.profile) as (manifest, store):
            has_keys, is_empty = bool(store.keys()), store.current() is None
            if not local and not has_keys:
                raise _open_to_all(settings.host)
            listener = stack.enter_context(listening(address, settings.port))
            _announce(manifest, listener, has_keys=has_keys, is_empty=is_empty)
            if settings.workers == 1:
                _answer(settings, manifest, store, listener, local)
                return
        _supervise(settings, listener, local)


def _announce(manifest: Manifest, listener: socket.socket, *, has_keys: bool, is_empty: bool) -> None:
    host, port = listener.getsockname()[:2]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    print(f"Serving {manifest.name} on http://{where}", flush=True)
    if not has_keys:
        print(
            "No key was ever given, so this machine alone is served, and whoever is on it may ask: "
            "`ruleengine key create` gives one.",
            flush=True,
        )
    if is_empty:
        print("Nothing is published yet: every answer is 503 until `ruleengine run` has made a version.", flush=True)


def _answer(settings: Serving, manifest: Manifest, store: "Store", listener: socket.socket, local: bool) -> None:
    """Until told to stop by a signal."""
    import uvicorn

    log = _api("logs").Log(sys.stderr, settings.log_format, settings.log_level)
    log.listen()
    answering = app(
        store,
        manifest,
        profile=settings.profile,
        local=local,
        rate=settings.rate,
        stopping=lambda: server.should_exit,
        log=log,
    )
    config = uvicorn.Config(
        answering,
        access_log=False,  # paths name customers
        backlog=BACKLOG,
        http=_api("protocol").speaking(answering),
        log_config=None,
        loop="uvloop",
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS,
        timeout_keep_alive=KEEP_ALIVE,
        ws="none",
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    # uvicorn raises a signal anew once it has stopped; being told to stop is no failure.
    _when_told(stop)
    # What is there by now stays: to look through it for garbage again and again would hold up answers.
    gc.collect()
    gc.freeze()
    try:
        server.run(sockets=[listener])
    finally:
        gc.unfreeze()
        log.flush()


# -- several processes -------------------------------------------------------------------------------------


def _supervise(settings: Serving, listener: socket.socket, local: bool) -> None:
    """Have so many workers answer on one socket until told to stop; where one dies, another takes its place.

    uvicorn's own supervisor does not tell streams that they are to end, and where it dies its workers keep the port.
    """
    spawn = multiprocessing.get_context("spawn")
    is_over = False

    def stop() -> None:  # in the midst of anything, so it takes no lock
        nonlocal is_over
        is_over = True

    def begun() -> "SpawnProcess":
        worker = spawn.Process(target=_work, args=(settings, listener, local))
        worker.start()
        return worker

    _when_told(stop)
    workers = [begun() for _ in range(settings.workers)]
    while not is_over:
        time.sleep(LOOK_EVERY)
        for place, worker in enumerate(workers):
            if worker.exitcode is None or is_over:
                continue
            _log(settings, f"worker {worker.pid} ended with {worker.exitcode}; another takes its place")
            time.sleep(BEFORE_ANOTHER)
            workers[place] = begun()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


def _work(settings: Serving, listener: socket.socket, local: bool) -> None:
    from ruleengine.verbs import published

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        with published.opened(settings.ruleset, settings.profile) as (manifest, store):
            _answer(settings, manifest, store, listener, local)
    except ProblemError as error:
        _log(settings, " ".join(wording(problem).message for problem in error.problems))
        sys.exit(1)


def _log(settings: Serving, message: str) -> None:
    _api("logs").Log(sys.stderr, settings.log_format, settings.log_level).listen()
    logging.getLogger("ruleengine.serving").warning(message)


def _when_told(stop: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _open_to_all(host: str) -> ProblemError:
    reason = (
        "only this machine itself can be served (127.0.0.1, ::1 or localhost) while there is no key, for whoever can "
        "reach the server could read every customer; `ruleengine key create` gives one"
    )
    return ProblemError(codes.system_refused(None, path=f"--host {host}", reason=reason))


def listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only where a socket says that it is TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        hint = "; another server may be using it, so name another port with --port, or 0 for any that is free"
        raise NotUsableError(codes.system_refused(None, path=f"{host} port {port}", reason=reason + hint)) from None
    return listener
