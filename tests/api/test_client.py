"""The client program that the documentation shows, against a server."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

from ruleengine.verbs import by_hand, forget, keys
from tests.api import shop
from tests.api.test_server import COMMAND

CLIENT = Path(__file__).parents[2] / "docs" / "examples" / "follow.py"


def followed(server: str, copy: Path, key: str) -> tuple[int, str]:
    answer = subprocess.run(
        [sys.executable, CLIENT, server, copy],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RULEENGINE_KEY": key},
    )
    assert "Traceback" not in answer.stderr
    return answer.returncode, answer.stdout + answer.stderr


def test_a_copy_is_kept_up_to_date(tmp_path: Path) -> None:
    folder = shop.written(tmp_path)
    shop.published(folder)
    secret = keys.create(folder, "default", "copy", ["tags:read"], expires=None, actor="test").secret
    copy = tmp_path / "copy.json"
    server = subprocess.Popen([COMMAND, "serve", folder, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]

        assert followed(address, copy, secret) == (0, "6 changes\n")
        assert json.loads(copy.read_text())["customers"]["1"] == {
            "tag VIP": "given",
            "tier loyalty": "Gold",
            "class lifecycle": "Active",
        }
        assert followed(address, copy, secret) == (0, "0 changes\n")

        by_hand.tag(folder, "default", "1", "Blocked", reason="asked", actor="test")
        shop.published(folder, date(2026, 6, 1))
        assert followed(address, copy, secret)[0] == 0
        assert json.loads(copy.read_text())["customers"]["1"] == {
            "tag Blocked": "given",
            "tier loyalty": "Gold",
            "class lifecycle": "Churned",
        }

        forget.forget(folder, "default", ["1"], reason="asked", actor="test")
        assert followed(address, copy, secret) == (0, "0 changes\n")
        assert "1" not in json.loads(copy.read_text())["customers"]

        code, said = followed(address, tmp_path / "other.json", "wrong")
        assert (code, said.split(":")[0]) == (1, "key_invalid")
    finally:
        server.terminate()
        server.communicate(timeout=30)
