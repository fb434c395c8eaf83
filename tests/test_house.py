"""The house stays the shape that pyproject.toml says it is."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ruleengine

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
LOCK, RUNTIME, SBOM = ((ROOT / "requirements" / f"{name}.lock").read_text() for name in ("dev", "runtime", "sbom"))


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


def locked(text: str) -> dict[str, Requirement]:
    """By name, what a lock pins; each of them with hashes."""
    found: dict[str, Requirement] = {}
    for entry in re.split(r"\n(?=\S)", text):
        pinned = Requirement(entry.partition("\\")[0].strip())
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", entry), pinned
        found[canonicalize_name(pinned.name)] = pinned
    return found


def test_the_locks_hold_what_is_asked_for() -> None:
    groups = PYPROJECT["dependency-groups"]
    asked = PYPROJECT["project"]["dependencies"]
    for lock, wanted in ((RUNTIME, asked), (LOCK, asked + groups["dev"]), (SBOM, groups["sbom"])):
        pins = locked(lock)
        for line in wanted:
            requirement = Requirement(line)
            (pin,) = pins[canonicalize_name(requirement.name)].specifier
            assert requirement.specifier.contains(pin.version), line


def test_users_install_what_the_tests_ran_with() -> None:
    runtime, dev = locked(RUNTIME), locked(LOCK)

    assert {name: str(dev[name]) for name in runtime} == {name: str(pinned) for name, pinned in runtime.items()}
    for name in runtime:
        entries = [
            re.findall(
                r"--hash=(\S+)", next(each for each in re.split(r"\n(?=\S)", lock) if each.startswith(f"{name}="))
            )
            for lock in (RUNTIME, LOCK)
        ]
        assert sorted(entries[0]) == sorted(entries[1]), name


def test_the_locks_name_no_registry() -> None:
    for lock in (LOCK, RUNTIME, SBOM):
        assert "://" not in lock
        assert "index-url" not in lock


@pytest.mark.slow
def test_the_bill_of_materials_lists_what_is_installed() -> None:
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads((ROOT / "build" / "sbom.cdx.json").read_text())

    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "ruleengine")
    components = {each["name"]: each for each in bill["components"]}
    assert components.keys() == locked(RUNTIME).keys()
    for name, pinned in locked(RUNTIME).items():
        (pin,) = pinned.specifier
        assert components[name]["version"] == pin.version
        assert components[name]["purl"].startswith(f"pkg:pypi/{name}@{pin.version}")
        hashes = [
            each["content"] for reference in components[name]["externalReferences"] for each in reference["hashes"]
        ]
        assert hashes
        assert all(f"sha256:{each}" in RUNTIME for each in hashes)
