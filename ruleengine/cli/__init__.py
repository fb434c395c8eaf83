"""The command line: `ruleengine VERB RULESET …`."""

import sys


def main() -> None:
    """The entry point of the `ruleengine` command."""
    if sys.platform == "win32":
        sys.exit(
            "ruleengine runs on Linux and macOS. On Windows, run it in WSL: https://learn.microsoft.com/windows/wsl"
        )
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show is spelled out, instead of being an error of its own.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    from ruleengine.cli.commands import program

    program()
