"""`python -m tests.bench.constant starlette|fastapi FILE`: a server that always answers with what a file holds."""

import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ruleengine import serving


def starlette(content: bytes) -> Any:
    async def constant(request: Request) -> Response:
        return Response(content, media_type="application/json")

    return Starlette(routes=[Route("/", constant)])


def fastapi(content: bytes) -> Any:
    app = FastAPI()

    @app.get("/")
    async def constant() -> Response:
        return Response(content, media_type="application/json")

    return app


def main(kind: str, file: str) -> None:
    app = {"starlette": starlette, "fastapi": fastapi}[kind](Path(file).read_bytes())
    with serving.listening("127.0.0.1", 0) as listener:
        print(f"on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        # On the same event loop, and with the same parser, as the product.
        config = uvicorn.Config(
            app, access_log=False, http="httptools", log_level="warning", loop="uvloop", server_header=False
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
