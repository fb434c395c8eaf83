"""A store in a schema of a Postgres database, next to the data.

What customers hold lies there in rows that count from one version to another (`assignments`), so that any published
version is read as the current one is. A run in the same database compares and writes where it computed: nothing of it
leaves the server.
"""
