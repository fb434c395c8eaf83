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

**Carried**: what the next run builds on beside the changes. Its parts are `arrivals` (who came, and who went: customer,
`true` or `false`; of a version without a base, everybody who is there) and `memory` (see `store.memory`), rows in the
order of customer, kind and name. Every 1,024 rows are a block: `"block"`, then ONE field: the fields of its rows, one
after another. Over blocks, nodes are built as over leaves. The part's hash is `"carried"`, the part's name, the
version's nonce (32 hex digits, kept beside), the root, and stands in the header: `{"carried": {"arrivals": …, "memory":
…}}`. Where somebody is forgotten, what is left gets a new nonce, and the report of that version the new hashes:
`{"forgotten": {"carried": {version: {"arrivals": …, "memory": …}}}}`; the last that speaks of a version counts.

**Secret**: `"secret"`, the secret of the keyed hashes: `{"forgotten": {"secret": …}}`.

**Version**: `"version"`, the hash of the version with the next lower number (no value for the first), the root, the
header: JSON text as it is kept in the ledger. Its `ruleset_hash` is that of the ruleset's name
(`{"identity": {"ruleset": …}}`), its `timezone` and the texts that are kept under it: see `checking.ruleset`.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

FAN_OUT = 1024
ROW_FIELDS = ("customer", "kind", "name", "old", "new", "since", "rule_hash", "evidence")
"""The columns of a change that its leaf covers."""
CARRIED = {
    "arrivals": ("customer", "here"),
    "memory": ("customer", "kind", "name", "matched", "level", "reached", "below"),
}
"""The columns of each part of what is carried."""


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


def carried(part: str, nonce: str, rows: int, blocks: Iterable[str]) -> str:
    return digest("carried", part, nonce, root(rows, blocks))


def secret(text: str) -> str:
    return digest("secret", text)


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


def blocks_sql(part: str, files_sql: str, here: str = "here") -> str:
    """DuckDB's query for the blocks of a part in each of some files, in order: filename, rows, hash."""
    columns = [here if name == "here" else name for name in CARRIED[part]]
    row = " || ".join(_field(f"{name}::VARCHAR") for name in columns)
    return (
        f"SELECT filename, rows, sha256('5:block' || strlen(text) || ':' || text) FROM ("
        f"SELECT filename, file_row_number // {FAN_OUT} AS place, count(*) AS rows, "
        f"string_agg({row}, '' ORDER BY file_row_number) AS text "
        f"FROM read_parquet([{files_sql}], filename = true, file_row_number = true) GROUP BY filename, place) "
        f"ORDER BY filename, place"
    )
