"""Nothing is asked of the network: the product works where there is none."""

import json
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("ruleengine")

REFUSE = """
import socket, traceback
def refuse(name):
    usual = getattr(socket.socket, name)
    def asked(self, *arguments):
        address = arguments[-1]
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(("127.", "::1", "localhost")):
            open({log!r}, "a").write(f"{{name}} {{address}}\\n")
            raise OSError("there is no network")
        return usual(self, *arguments)
    setattr(socket.socket, name, asked)
for name in ("connect", "connect_ex", "sendto"):
    refuse(name)
def lookup(host, *arguments, usual=socket.getaddrinfo, **named):
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        open({log!r}, "a").write(f"getaddrinfo {{host}}\\n")
        raise OSError("there is no network")
    return usual(host, *arguments, **named)
socket.getaddrinfo = lookup
"""
"""What Python may not do, noted down; where there are namespaces, nobody else reaches anything either."""

ALONE = """
import fcntl, json, socket, struct, subprocess, sys, time, urllib.request
if {namespace}:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lo:  # a new namespace's own address is down
        flags = struct.unpack("16sh", fcntl.ioctl(lo, 0x8913, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(lo, 0x8914, struct.pack("16sh", b"lo", flags | 1))
    names = [name for _, name in socket.if_nameindex()]
    assert all(name == "lo" or not name.startswith(("eth", "en", "wl")) for name in names), names
def ask(*arguments):
    return subprocess.run([{program!r}, *arguments], check=True, capture_output=True, text=True).stdout
for verb in (["check"], ["test"], ["run"], ["plan"], ["doctor"], ["versions"], ["export", "-o", "all.csv"]):
    ask(*verb)
secret = json.loads(ask("key", "create", "--name", "app", "--scope", "tags:read", "--format", "json"))["secret"]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen([{program!r}, "serve", "--port", str(port)], stdout=subprocess.DEVNULL)
try:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{{port}}/readyz", timeout=20).read()
            break
        except OSError:
            assert server.poll() is None
            time.sleep(0.1)
    key = {{"Authorization": f"Bearer {{secret}}"}}
    asked = urllib.request.Request(f"http://127.0.0.1:{{port}}/v1/tags", headers=key)
    print(urllib.request.urlopen(asked, timeout=20).read().decode())
finally:
    server.terminate()
    server.wait()
"""


@cache
def namespace() -> tuple[str, ...]:
    """How a process gets a network of its own, in which nothing is; empty where that is not allowed."""
    for prefix in (("unshare", "-n"), ("unshare", "-rn")):
        try:
            subprocess.run([*prefix, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return prefix
    return ()


@pytest.mark.slow
def test_everything_works_without_a_network(tmp_path: Path) -> None:
    folder, patch, log = tmp_path / "shop", tmp_path / "patch", tmp_path / "asked.log"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(REFUSE.format(log=str(log)))
    subprocess.run([PROGRAM, "new", folder], check=True, capture_output=True)
    script = ALONE.format(namespace=bool(namespace()), program=str(PROGRAM))

    answer = subprocess.run(
        [*namespace(), sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(patch), "RULEENGINE_ACTOR": "tests"},
        capture_output=True,
        text=True,
    )

    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["tags"]
    assert not log.exists(), log.read_text()


def test_what_is_asked_would_be_noted(tmp_path: Path) -> None:
    log = tmp_path / "asked.log"
    (tmp_path / "sitecustomize.py").write_text(REFUSE.format(log=str(log)))
    script = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)"

    answer = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(tmp_path)}, capture_output=True)

    assert answer.returncode == 1
    assert "192.0.2.1" in log.read_text()
