"""Customer tags and tiers as rules in plain text: checked, explained, versioned, served."""

from typing import Final

__version__: Final = "0.1.0"
