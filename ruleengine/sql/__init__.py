"""Plans to SQL, as sqlglot trees until the last line."""
