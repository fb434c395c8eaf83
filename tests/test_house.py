"""The house stays the shape that pyproject.toml says it is."""

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ruleengine

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
LOCK = (ROOT / "requirements" / "dev.lock").read_text()


def test_every_package_is_shipped() -> None:
    shipped = set(SETUPTOOLS["packages"])
    folders = {"ruleengine": "ruleengine"} | SETUPTOOLS["package-dir"]
    found = {
        ".".join([name, *init.parent.relative_to(ROOT / folder).parts])
        for name, folder in folders.items()
        for init in (ROOT / folder).rglob("__init__.py")
    }

    assert found == shipped


def test_every_folder_of_code_is_a_package() -> None:
    bare = {
        str(module.parent.relative_to(ROOT))
        for folder in ("ruleengine", "api", "grammar", "tests")
        for module in (ROOT / folder).rglob("*.py")
        if not (module.parent / "__init__.py").exists()
    }

    assert bare == set()


def test_imports_point_downward() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_version_is_written_once_in_effect() -> None:
    assert ruleengine.__version__ == PYPROJECT["project"]["version"]


def test_the_lock_holds_what_is_asked_for() -> None:
    asked = PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]
    locked = {
        canonicalize_name(requirement.name): requirement
        for line in LOCK.splitlines()
        if line and not line.startswith((" ", "#"))
        for requirement in [Requirement(line.removesuffix("\\"))]
    }

    for line in asked:
        wanted = Requirement(line)
        (pin,) = locked[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(pin.version), line


def test_the_lock_names_no_registry() -> None:
    assert "://" not in LOCK
    assert "index-url" not in LOCK
