"""What goes wrong around a Postgres: the wire, the server, its disk, its settings, the tables."""
