"""The hashes of the audit chain, byte for byte, so that anyone can check them without this program.

**A hash** here is SHA-256 over fields, written in lower-case hex. Each field is text in UTF-8 preceded by its length
in bytes (decimal, no leading zero) and a colon; a field without a value is `-:`. So `("tag", None, "é")` is the bytes
`3:tag-:2:é`. The first field says what is hashed, so that nothing of one sort can pass for another.

**Leaf**, one per change: `"leaf"`, the customer's salt (32 hex digits), the version's number, customer, kind, name,
old, new, since, rule hash, evidence. Numbers are written in decimal, dates as YYYY-MM-DD.

**Node**: `"node"`, then ONE field: the hashes of its children, one after another, as hex. The leaves of a version lie
in the order of the rows of its `changes` file: by customer (as a number where keys are integers, otherwise by code
point), kind, name (by code point). Every 1,024 nodes in a row have one parent, the last parent the rest, whatever
number that is; so on until one node is left. Even a single leaf has a parent.

**Root**: `"root"`, the number of leaves, the last node. Without leaves the last field has no value.

**Forgotten**: a customer whom a version of kind `forget` forgets leaves rows of whose fields nothing is kept but the
leaf. The report in that version's header lists them: `{"forgotten": {"customers": […], "leaves": [[version, first,
count], …]}}`, rows of a version's changes being counted from 0. A row without a customer that no such list has was
blanked by somebody else. The salt is gone, so that a leaf tells nothing of what it was made of. Each of `customers` is
a keyed hash: see `engines.forgotten`.

**Version**: `"version"`, the hash of the version with the next lower number (no value for the first), the root, the
header: JSON text as it is kept in the ledger.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

FAN_OUT = 1024
ROW_FIELDS = ("customer", "kind", "name", "old", "new", "since", "rule_hash", "evidence")
"""The columns of a change that its leaf covers."""


def digest(*fields: str | None) -> str:
    parts = []
    for field in fields:
        if field is None:
            parts.append(b"-:")
        else:
            content = field.encode()
            parts.append(b"%d:%b" % (len(content), content))
    return sha256(b"".join(parts)).hexdigest()


def node(children: Sequence[str]) -> str:
    return digest("node", "".join(children))


def root(leaves: int, nodes: Iterable[str]) -> str:
    """The root over the nodes just above the leaves."""
    level = list(nodes)
    while len(level) > 1:
        level = [node(level[start : start + FAN_OUT]) for start in range(0, len(level), FAN_OUT)]
    return digest("root", str(leaves), level[0] if level else None)


def version(previous: str | None, root_hash: str, header: str) -> str:
    return digest("version", previous, root_hash, header)


def _field(expression: str) -> str:
    return f"coalesce(strlen({expression}) || ':' || {expression}, '-:')"


def leaf_sql(version_sql: str) -> str:
    """DuckDB's expression for the leaf (hex) of a row with `salt` (BLOB) and ROW_FIELDS in scope."""
    fields = ["'4:leaf'", "'32:' || lower(hex(salt))", _field(version_sql)]
    fields += [_field(f"{name}::VARCHAR") for name in ROW_FIELDS]
    return f"sha256({' || '.join(fields)})"


def nodes_sql(file_sql: str) -> str:
    """DuckDB's query for the nodes just above the leaves of a `changes` file, in order."""
    children = "string_agg(lower(hex(leaf)), '' ORDER BY file_row_number)"
    length = "(64 * count(*))"
    return (
        f"SELECT sha256('4:node' || {length} || ':' || {children}) "
        f"FROM read_parquet({file_sql}, file_row_number = true) "
        f"GROUP BY file_row_number // {FAN_OUT} ORDER BY min(file_row_number)"
    )
