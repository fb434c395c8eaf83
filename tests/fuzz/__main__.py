"""`make fuzz`: each target for some seconds, with inputs that atheris makes up to reach what none has reached yet.

    python -m tests.fuzz [SECONDS [TARGET …]]

What it finds lies in build/fuzz; put it into tests/fuzz/found/TARGET, where the tests try it ever after.
"""

import subprocess
import sys
from pathlib import Path

NAMES = ("rules", "manifest", "csv", "parquet", "request")
BUILD = Path("build/fuzz")
FOUND = Path(__file__).parent / "found"


def fuzz(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["ruleengine", "lark", "tomllib"]):
        from tests.fuzz.targets import TARGETS

        take, begin = TARGETS[name]
    seeds, findings = BUILD / name / "seeds", BUILD / name / "findings"
    for folder in (seeds, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(begin()):
        (seeds / f"seed-{number}").write_bytes(seed)
    bounds = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=30", "-rss_limit_mb=4000"]
    found = [str(folder) for folder in (FOUND / name,) if folder.exists()]
    atheris.Setup(["fuzz", *bounds, f"-artifact_prefix={findings}/", str(seeds), *found], take)
    atheris.Fuzz()


def main(seconds: int, names: list[str]) -> int:
    failed = [
        name
        for name in names
        # Each in a process of its own: what is found ends it.
        if subprocess.run([sys.executable, "-m", "tests.fuzz", "--one", str(seconds), name]).returncode
    ]
    print(f"{len(names)} targets, {len(failed)} with findings{': ' * bool(failed)}{', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--one", seconds, name]:
            fuzz(name, int(seconds))
        case [seconds, *names]:
            sys.exit(main(int(seconds), names or list(NAMES)))
        case _:
            sys.exit(main(60, list(NAMES)))
