"""The command line as such: wrong use, and the process itself."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from ruleengine.cli import main
from ruleengine.cli.commands import program
from ruleengine.engines.interruption import interruptible
from tests.cli.conftest import DAY, Ask

# -- wrong use --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "SHOP", "--as-of", "31.3.2026"], "is not a date. Write it as 2026-03-31"),
        (["run", "SHOP", "--as-of", "20260331"], "is not written as 2026-03-31"),
        (["run", "SHOP", "--as-of", "2026-02-30"], "is not a date"),
        (["run", "SHOP", "--set", "vip_floor"], "is not of the form name=value"),
        (["run", "SHOP", "--set", "=3"], "is not of the form name=value"),
        (["run", "SHOP", "--set", "vip_floor=1", "--set", "vip_floor=2"], "is set more than once"),
        (["run", "SHOP", "--format", "xml"], "'xml' is not one of 'text', 'json'"),
        (["run", "SHOP", "--profile", "prod"], "error[profile-unknown]"),
        (["run", "SHOP", "--actor", "a\nb"], "error[actor-unreadable]"),
        (["check", "SHOP", "SHOP"], "unexpected extra argument"),
        (["explain", "SHOP"], "Missing argument 'CUSTOMER'"),
        (["explain", "SHOP", "1", "VIP", "x"], "unexpected extra argument (x)"),
        (["explain", "SHOP", "x"], "error[customer-not-a-number]"),
        (["explain", "SHOP", "99"], "error[customer-unknown]"),
        (["explain", "SHOP", "1", "VPI"], "“VIP” might be meant"),
        (["explain", "SHOP", "1", "Rising"], "error[rule-is-draft]"),
        (["explain", "SHOP", "1", "--version", "9"], "error[version-unknown]"),
        (["explain", "SHOP", "1", "--version", "0"], "0 is not in the range"),
        (["history", "SHOP", "99"], "error[customer-unknown]"),
        (["history", "SHOP", "9" * 30], "error[customer-not-a-number]"),
        (["versions", "SHOP", "one"], "'one' is not a whole number"),
        (["versions", "SHOP", "9"], "error[version-unknown]"),
        (["diff", "SHOP", "1"], "Missing argument 'B'"),
        (["diff", "SHOP", "1", "9"], "error[version-unknown]"),
        (["publish", "SHOP", "x", "--reason", "y"], "error[run-unknown]"),
        (["rollback", "SHOP", "1"], "Missing option '--reason'"),
        (["rollback", "SHOP", "9", "--reason", "y"], "error[version-unknown]"),
        (["export", "SHOP", "-o", "x.xlsx"], "error[export-unknown-kind]"),
        (["export", "SHOP", "-o", "x.csv", "--version", "1", "--run", "x"], "exclude each other"),
        (["chek", "SHOP"], "No such command 'chek'"),
    ],
)
def test_wrong_use_is_told(ask: Ask, published: Path, arguments: list[str], told: str) -> None:
    answer = ask(*(str(published) if argument == "SHOP" else argument for argument in arguments))

    assert answer.code == 2
    assert told in " ".join(answer.err.split())


def test_an_unknown_parameter_is_told(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--set", "vip_flor=3")

    assert answer.code == 1
    assert "vip_floor" in answer.err


def test_the_ruleset_may_be_left_out_in_its_folder(ask: Ask, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(published)

    assert ask("versions").code == 0
    assert ask("versions", 1).code == 0
    assert "2,500.50" in ask("explain", 1, "VIP").out
    assert ask("explain", ".", 1, "VIP").out == ask("explain", 1, "VIP").out


def test_an_actor_comes_from_the_option_the_environment_or_the_system(
    ask: Ask, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("run", shop, "--as-of", "2026-03-01", "--actor", "ada")
    ask("run", shop, "--as-of", "2026-03-02")
    monkeypatch.delenv("RULEENGINE_ACTOR")
    monkeypatch.setenv("LOGNAME", "grace")
    ask("run", shop, "--as-of", "2026-03-03")

    versions = ask("versions", shop, "--format", "json").json["versions"]
    assert [version["actor"] for version in versions] == ["os:grace", "tests", "ada"]


# -- the process itself -----------------------------------------------------------------------------------


def start(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ruleengine"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        encoding="utf-8",
    )


def test_the_version_is_told() -> None:
    assert start("--version").stdout == "ruleengine 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--version"], ["fastapi", "duckdb", "rich", "sqlglot", "lark", "pydantic"]),
        (["check", "SHOP"], ["fastapi", "duckdb", "rich", "sqlglot"]),
    ],
)
def test_only_what_is_needed_is_loaded(shop: Path, arguments: list[str], absent: list[str]) -> None:
    (shop / "data/orders.csv").unlink()  # Where there is data, texts are looked for in it.
    script = (
        "import sys\nfrom ruleengine.cli import main\nsys.argv = ['ruleengine', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {absent} if name in sys.modules])"
    )
    arguments = [str(shop) if argument == "SHOP" else argument for argument in arguments]

    answer = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)

    assert answer.stdout.splitlines()[-1] == "[]", answer.stderr


def test_a_terminal_without_utf_8_gets_plain_signs(published: Path) -> None:
    answer = start("explain", published, 3, "VIP", PYTHONIOENCODING="ascii")
    shown = start("versions", published, 1, PYTHONIOENCODING="ascii")

    assert '- tag "VIP"  not given' in answer.stdout
    assert "+ monetary_90d > vip_floor" in answer.stdout
    assert "######" in shown.stdout
    assert "睡眠" in shown.stdout


def test_a_reader_who_leaves_is_no_error(published: Path) -> None:
    ruleengine = Path(sys.executable).with_name("ruleengine")
    process = subprocess.Popen([ruleengine, "compile", str(published)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.wait()

    assert process.stderr.read() == b""
    assert process.returncode == 141


def test_an_interrupted_command_says_so(ask: Ask, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ruleengine.verbs.check.check", interrupted)
    answer = ask("check", shop)

    assert (answer.code, answer.err) == (130, "Stopped.\n")


def test_ctrl_c_ends_a_statement_at_work() -> None:
    connection = duckdb.connect()
    began = time.monotonic()
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt), interruptible(connection):
        connection.execute(
            "CREATE TABLE t AS SELECT sum(hash(a.range) + b.range) FROM range(1000000) a, range(100000) b"
        )

    assert time.monotonic() - began < 30
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_windows_is_told_of_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")

    with pytest.raises(SystemExit, match="run it in WSL"):
        main()


def test_a_mistake_of_ours_is_a_line_and_a_report(
    ask: Ask, shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("ruleengine.verbs.check.check", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = ask("check", shop)

    assert answer.code == 70
    assert answer.err.startswith("Internal error (ZeroDivisionError)")
    assert "Traceback" not in answer.err
    (report,) = tmp_path.glob("ruleengine-error-*.log")
    assert str(report) in answer.err
    assert "ZeroDivisionError: oh" in report.read_text()


def test_names_in_data_cannot_play_with_the_terminal(ask: Ask, shop: Path) -> None:
    manifest = shop / "ruleset.toml"
    manifest.write_text(manifest.read_text().replace('"shop"', '"\\u001b[31mshop"'))

    answer = ask("check", shop)

    assert "\x1b" not in answer.out
    assert "<U+001B>[31mshop" in answer.out


def test_every_command_tells_what_it_is_for(ask: Ask) -> None:
    for name, command in program.commands.items():
        assert command.help, name
        help = ask(name, "--help")
        assert help.code == 0
        assert name in help.out


def test_a_run_of_a_size_does_not_wait_for_a_terminal(shop: Path) -> None:
    began = time.monotonic()
    answer = start("run", shop, "--as-of", DAY, "--format", "json")

    assert json.loads(answer.stdout)["version"] == 1
    assert answer.stderr == ""
    assert time.monotonic() - began < 60
