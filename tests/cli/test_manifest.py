"""What is wrong with a ruleset.toml is told where it stands."""

from pathlib import Path

import pytest

from ruleengine import schema
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.diagnostics.render import render_text

HEAD = '[ruleset]\nname = "retail"\ntimezone = "Europe/Berlin"\n'
PROFILE = HEAD + '[profiles.default]\nengine = "duckdb"\n'


def written(folder: Path, text: str) -> Path:
    (folder / "ruleset.toml").write_text(text, encoding="utf-8")
    return folder


def refused(folder: Path, text: str) -> dict[str, str]:
    """The slugs of the problems of a manifest, each with the place and the text underlined there."""
    with pytest.raises(ProblemError) as error:
        schema.load(written(folder, text))
    return {
        problem.code.name: f"{str(problem.span).rpartition('ruleset.toml')[2]} {problem.span.text}"
        for problem in error.value.problems
        if problem.span
    }


def test_the_whole_of_it_is_read(tmp_path: Path) -> None:
    text = """
        [ruleset]
        name = "零售"
        timezone = "Asia/Shanghai"
        stale_after = "2 weeks"

        [profiles.default]
        engine = "duckdb"
        memory = "2GB"
        threads = 2
        [profiles.default.sources]
        customers = "data/customers.parquet"
        orders = {file = "../orders/*.csv", columns = {amount = "total price"}}

        [profiles.prod]
        engine = "postgres"
        dsn = "${DATABASE_URL}"
        sources.visits = {sql = "select 1"}
        sources.customers = {table = "crm.customers"}
        """
    manifest = schema.load(written(tmp_path, text))

    assert (manifest.name, manifest.timezone, manifest.stale_after_days) == ("零售", "Asia/Shanghai", 14)
    default = manifest.profile("default")
    assert (default.engine, default.memory, default.threads) == ("duckdb", "2GB", 2)
    assert default.store == tmp_path / ".ruleengine"
    orders = default.binding("orders")
    assert (orders.file, orders.columns) == ("../orders/*.csv", {"amount": "total price"})
    assert manifest.profiles["prod"].sources["customers"].table == "crm.customers"
    assert str(orders.span).endswith("ruleset.toml:13:9")


def test_the_ruleset_toml_itself_may_be_named(tmp_path: Path) -> None:
    assert schema.load(written(tmp_path, HEAD) / "ruleset.toml").directory == tmp_path


def test_rule_files_are_those_of_the_folder_itself_in_order(tmp_path: Path) -> None:
    for name in ("b.rules", "a.rules", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "d.rules").touch()

    files = schema.load(written(tmp_path, HEAD)).rule_files()

    assert [file.name for file in files] == ["a.rules", "b.rules"]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", {"section-missing": ":1:1 "}),
        ("[ruleset]\nname = retail", {"manifest-syntax": ":2:1 name = retail"}),
        ("[ruleset]\nname = 'x", {"manifest-syntax": ":2:1 name = 'x"}),
        ("a = " + "[" * 10_000, {"manifest-syntax": ":1:1 a = " + "[" * 10_000}),
        ("ruleset = 3", {"setting-not-table": ":1:1 ruleset"}),
        ("[ruleset]\ntimezone = 'UTC'", {"setting-missing": ":1:1 [ruleset]"}),
        (HEAD + "colour = 'red'", {"setting-unknown": ":4:1 colour"}),
        (HEAD + "[profils.x]", {"setting-unknown": ":4:1 [profils.x]"}),
        (HEAD.replace("retail", " "), {"setting-empty": ":2:1 name"}),
        (HEAD.replace('"retail"', "7"), {"setting-not-text": ":2:1 name"}),
        (HEAD.replace("Berlin", "Berlyn"), {"timezone-unknown": ":3:1 timezone"}),
        (HEAD.replace("Europe/Berlin", "../../etc/passwd"), {"timezone-unknown": ":3:1 timezone"}),
        (HEAD + "stale_after = '2 moons'", {"duration-unreadable": ":4:1 stale_after"}),
        (HEAD + "language = 2", {"language-newer": ":4:1 language"}),
        (HEAD + "format = 2", {"format-newer": ":4:1 format"}),
        (HEAD + "format = 0", {"setting-not-whole": ":4:1 format"}),
        (HEAD + "[profiles.default]\nengine = 'duckdbb'", {"engine-unknown": ":5:1 engine"}),
        (PROFILE + "threads = 0", {"setting-not-whole": ":6:1 threads"}),
        (PROFILE + "threads = true", {"setting-not-whole": ":6:1 threads"}),
        (PROFILE + "memory = 'much'", {"memory-unreadable": ":6:1 memory"}),
        (PROFILE + "store = '${HOME}/store'", {"environment-misplaced": ":6:1 store"}),
        (PROFILE + "dsn = '${DB}'", {"dsn-without-database": ":6:1 dsn"}),
        (PROFILE + "sources.a = 'a.xlsx'", {"source-file-kind": ":6:1 sources.a"}),
        (PROFILE + "sources.a = 3", {"binding-unreadable": ":6:1 sources.a"}),
        (PROFILE + "sources.a = {}", {"binding-unreadable": ":6:1 sources.a"}),
        (PROFILE + "sources.a = {file='a.csv', table='a'}", {"binding-unreadable": ":6:1 sources.a"}),
        (PROFILE + "sources = {a = {table='a'}}", {"binding-needs-database": ":6:12 a"}),
        (PROFILE + "sources = {a = {fil='a.csv'}}", {"setting-unknown": ":6:17 fil"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, text: str, problems: dict[str, str]) -> None:
    assert refused(tmp_path, text) == problems


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = '[ruleset]\nnam = "retail"\ntimezone = "Mars"\n[profiles.a]\nengine = "duckdb"\nthread = 3\n'

    assert set(refused(tmp_path, text)) == {"setting-missing", "setting-unknown", "timezone-unknown"}


@pytest.mark.parametrize("line", ["dsn = 'hunter2'", "dsn = 'hunter2", "dsn = 'x:hunter2@h/${DB}'", "dsn = hunter2"])
def test_a_written_out_address_is_refused_and_never_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(ProblemError) as error:
        schema.load(written(tmp_path, f"{HEAD}[profiles.prod]\nengine = 'postgres'\n{line}\n"))

    shown = render_text(error.value.problems)
    assert "hunter2" not in shown
    assert "hunter2" not in repr(error.value.problems)
    assert "*******" in shown


def test_an_engine_that_does_not_run_yet_is_in_the_way_only_of_its_own_profile(tmp_path: Path) -> None:
    manifest = schema.load(written(tmp_path, PROFILE + "[profiles.prod]\nengine = 'spark'\n"))

    assert manifest.profile("default").engine == "duckdb"
    with pytest.raises(ProblemError, match="engine-not-yet"):
        manifest.profile("prod")


def test_a_profile_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as error:
        schema.load(written(tmp_path, PROFILE)).profile("defalt")

    assert "`default` might be meant" in render_text(error.value.problems)


def test_files_are_found_by_glob_and_told_when_there_are_none(tmp_path: Path) -> None:
    folder = tmp_path / "odd [name]"
    (folder / "data").mkdir(parents=True)
    for name in ("2.csv", "1.csv", "1.txt"):
        (folder / "data" / name).touch()
    text = PROFILE + "sources = {a = 'data/*.csv', b = 'data/*.parquet'}"
    profile = schema.load(written(folder, text)).profile("default")

    assert [file.name for file in profile.files("a")] == ["1.csv", "2.csv"]
    with pytest.raises(ProblemError, match="source-file-missing"):
        profile.files("b")
    with pytest.raises(ProblemError, match="source-unbound"):
        profile.files("c")


def test_keys_are_found_wherever_they_stand(tmp_path: Path) -> None:
    line = "profiles = {'my one' = {engine = 'duckdb', sources = {a = {file = 'a.csv', columns = {b = '}'}}}}, "
    text = (
        'ruleset.name = """a\n[profiles.x]\n"quoted"""\nruleset."timezone" = "UTC" # = [x]\n'
        f"{line}two = {{engine = 'duckdb', sources = {{wrong = 'x'}}}}}}\n"
    )

    column = text.splitlines()[4].index("wrong") + 1
    assert refused(tmp_path, text) == {"source-file-kind": f":5:{column} wrong"}
