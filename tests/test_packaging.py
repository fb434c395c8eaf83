"""What is built is what is in the tree, and works where it is installed; make finds a way to .venv."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import ruleengine

ROOT = Path(__file__).parents[1]
INSTALLED_AS = {
    "ruleengine": "ruleengine",
    "api": "ruleengine/api",
    "grammar": "ruleengine/grammar",
    "rulesets/std": "ruleengine/std",
}
STDLIB = Path(sysconfig.get_path("stdlib"))

pytestmark = pytest.mark.slow


def attempt(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with nothing of this session's environment, and no package index."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "PIP_NO_INDEX": "1"} | environment
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


def run(*command: str | Path, cwd: Path) -> str:
    answer = attempt(*command, cwd=cwd)
    assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"
    return answer.stdout


# What is built


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged, so that building leaves nothing in the original."""
    copy = tmp_path_factory.mktemp("copy") / "tree"
    for folder in INSTALLED_AS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    return copy


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel from the tree, the source distribution, and the wheel from that."""
    straight, round_about = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("sdist")
    build = (sys.executable, "-m", "build", "--no-isolation")
    run(*build, "--wheel", "--outdir", straight, cwd=tree)
    shutil.rmtree(tree / "build")
    run(*build, "--outdir", round_about, cwd=tree)
    return {
        "wheel": next(straight.glob("*.whl")),
        "sdist": next(round_about.glob("*.tar.gz")),
        "wheel from sdist": next(round_about.glob("*.whl")),
    }


def shipped(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != "ARCHITECTURE.md" and path.parent.name != "__pycache__"
    }


@pytest.mark.parametrize("which", ["wheel", "wheel from sdist"])
def test_a_wheel_holds_the_tree(built: dict[str, Path], which: str) -> None:
    with zipfile.ZipFile(built[which]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert names == {f"{inside}/{name}" for folder, inside in INSTALLED_AS.items() for name in shipped(ROOT / folder)}


def test_a_wheel_carries_the_licence(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as archive:
        assert f"ruleengine-{ruleengine.__version__}.dist-info/licenses/LICENSE" in archive.namelist()


def test_the_source_distribution_holds_the_tree(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    sources = {f"{folder}/{name}" for folder in INSTALLED_AS for name in shipped(ROOT / folder)}
    assert sources | {"LICENSE", "README.md", "pyproject.toml"} <= names


# What is installed


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is installed here except the project itself, with nothing copied or downloaded."""
    folder = tmp_path_factory.mktemp("dependencies")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "ruleengine" not in entry.name:
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture
def python(dependencies: Path, tmp_path: Path) -> Path:
    """The Python of a new virtual environment that sees the dependencies and not the project."""
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    (Path(site) / "dependencies.pth").write_text(f"{dependencies}\n")
    return python


@pytest.mark.parametrize("which", ["wheel", "sdist", "wheel from sdist", "editable"])
def test_an_installation_works(built: dict[str, Path], tree: Path, python: Path, tmp_path: Path, which: str) -> None:
    what = ("-e", tree) if which == "editable" else (built[which],)
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    run(python, *install, *what, cwd=tmp_path)

    assert ruleengine.__version__ in run(python.with_name("ruleengine"), "--version", cwd=tmp_path)
    look = """if True:
        from importlib.resources import files
        from importlib.util import find_spec
        import ruleengine.api.app
        from ruleengine.checking.uses import shipped

        for name in ("rules.lark", "terminals.lark", "keywords.toml"):
            assert files("ruleengine.grammar").joinpath(name).is_file(), name
        assert "std/rfm.rules" in shipped()
        for name in ("api", "grammar", "rulesets", "std"):
            assert find_spec(name) is None, f"a package called {name} came along"
        print(ruleengine.__file__)
    """
    origin = Path(run(python, "-c", look, cwd=tmp_path).strip())
    assert origin.is_relative_to(tree if which == "editable" else python.parents[1])


# How make comes to .venv


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """This Python without ensurepip, as Debian ships it."""
    if not (STDLIB / "ensurepip" / "_bundled").is_dir() or not (STDLIB / "site-packages" / "pip").is_dir():
        pytest.skip("this Python has no ensurepip to hide, or no pip of its own")
    library = tmp_path / "bare" / "lib" / STDLIB.name
    library.mkdir(parents=True)
    for entry in STDLIB.iterdir():
        if entry.name != "ensurepip":
            (library / entry.name).symlink_to(entry)
    python = tmp_path / "bare" / "bin" / "python3"
    python.parent.mkdir()
    # Copied, since Python looks for its library beside the file that a link leads to.
    shutil.copy(Path(sys.executable).resolve(), python)
    prefix = attempt(python, "-c", "import sys; print(sys.prefix, end='')", cwd=tmp_path).stdout
    if prefix != str(tmp_path / "bare"):
        pytest.skip("this Python cannot be moved")
    return python


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of commands that stand before the system's own."""
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


def stand_in(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


def make_pip(python: Path, tools: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """`make`, as far as an environment with a pip in it; pip itself comes from Python's own bundle."""
    shutil.copy(ROOT / "Makefile", home)
    return attempt(
        "make",
        ".venv/bin/pip",
        f"PYTHON={python}",
        cwd=home,
        PATH=f"{tools}{os.pathsep}/usr/bin:/bin",
        PIP_FIND_LINKS=str(STDLIB / "ensurepip" / "_bundled"),
    )


def test_make_needs_no_ensurepip(bare_python: Path, tools: Path, tmp_path: Path) -> None:
    stand_in(tools, "apt-get", "echo 'nothing is to be installed' >&2; exit 1")
    answer = make_pip(bare_python, tools, tmp_path)

    assert answer.returncode == 0, answer.stderr
    assert "nothing is to be installed" not in answer.stderr
    assert "pip" in run(tmp_path / ".venv" / "bin" / "pip", "--version", cwd=tmp_path)


def test_without_any_pip_root_installs_python3_venv(bare_python: Path, tools: Path, tmp_path: Path) -> None:
    library = tmp_path / "bare" / "lib" / STDLIB.name
    (library / "site-packages").unlink()
    stand_in(tools, "id", "echo 0")
    stand_in(tools, "apt-get", f"echo \"$@\" && ln -s '{STDLIB}/ensurepip' '{library}/ensurepip'")
    answer = make_pip(bare_python, tools, tmp_path)

    assert answer.returncode == 0, answer.stderr
    assert "install -y python3-venv" in answer.stdout
    assert "pip" in run(tmp_path / ".venv" / "bin" / "pip", "--version", cwd=tmp_path)


def test_without_any_pip_others_are_told_what_to_install(bare_python: Path, tools: Path, tmp_path: Path) -> None:
    (tmp_path / "bare" / "lib" / STDLIB.name / "site-packages").unlink()
    stand_in(tools, "id", "echo 1000")
    stand_in(tools, "apt-get", "echo 'only root may' >&2; exit 1")
    answer = make_pip(bare_python, tools, tmp_path)

    assert answer.returncode != 0
    assert "apt-get install -y python3-venv" in answer.stderr
    assert "only root may" not in answer.stderr
