"""The long form: `make torture`, or `python -m tests.torture MINUTES WORD …`: what has one of the words in its name."""

import sys

from tests.torture.long import main

if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else 24 * 60, sys.argv[2:]))
