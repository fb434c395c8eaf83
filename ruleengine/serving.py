"""The one door to the HTTP package.

`api/` is installed as `ruleengine.api` (see pyproject.toml). A checker sees the folder under its own name, so this
door names it in a string.
"""

import ipaddress
import signal
import socket
import sys
from collections.abc import Callable
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.schema import DEFAULT_PROFILE, Manifest
from ruleengine.settings import Serving
from ruleengine.verbs.outcome import NotUsableError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from ruleengine.store.store import Store

BACKLOG = 1024
KEEP_ALIVE = 30
"""Seconds that a connection may be idle."""
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
    with published.opened(settings.ruleset, settings.profile) as (manifest, store):
        has_keys = bool(store.keys())
        if not local and not has_keys:
            raise _open_to_all(settings.host)
        with listening(address, settings.port) as listener:
            _serve(settings, manifest, store, listener, local, has_keys)


def _serve(
    settings: Serving, manifest: Manifest, store: "Store", listener: socket.socket, local: bool, has_keys: bool
) -> None:
    import uvicorn

    log, protocol = _api("logs").Log(sys.stderr, settings.log_format, settings.log_level), _api("protocol")
    log.listen()
    config = uvicorn.Config(
        app(
            store,
            manifest,
            profile=settings.profile,
            local=local,
            rate=settings.rate,
            stopping=lambda: server.should_exit,
            log=log,
        ),
        access_log=False,  # paths name customers
        backlog=BACKLOG,
        h11_max_incomplete_event_size=protocol.LARGEST_HEAD,
        http=protocol.Protocol,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS,
        timeout_keep_alive=KEEP_ALIVE,
        ws="none",
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    # uvicorn raises a signal anew once it has stopped; being told to stop is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    host, port = listener.getsockname()[:2]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    print(f"Serving {manifest.name} on http://{where}", flush=True)
    if not has_keys:
        print(
            "No key was ever given, so this machine alone is served, and whoever is on it may ask: "
            "`ruleengine key create` gives one.",
            flush=True,
        )
    if store.current() is None:
        print("Nothing is published yet: every answer is 503 until `ruleengine run` has made a version.", flush=True)
    server.run(sockets=[listener])


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
