"""A process with little memory and time: `python -m tests.hostile.bounded TARGET FOLDER BYTES SECONDS`.

Each file of the folder goes through a target; its name is printed once it is answered or told.
"""

import resource
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS


def addresses() -> int:
    """Bytes that this process has addresses for."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def main(target: str, folder: str, memory: str, seconds: str) -> None:
    take, begin = TARGETS[target]
    take(begin()[0])  # What is loaded only when it is needed is there now.
    most = addresses() + int(memory)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    for path in sorted(Path(folder).iterdir()):
        take(path.read_bytes())
        print(path.name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
