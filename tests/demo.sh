#!/usr/bin/env bash
# A tour of one minute: check, run, explain and serve the ruleset on groceries. It works on a copy, from nothing each time.
set -euo pipefail
cd "$(dirname "$0")/.."

export RULEENGINE_ACTOR=${RULEENGINE_ACTOR:-demo}
demo=build/demo # which git ignores
rules=$demo/grocery
server=

bold='' faint='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' faint=$'\e[2m' plain=$'\e[0m'; fi

tell() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
typed() {
    local word line='$ ruleengine'
    for word in "$@"; do
        case $word in *' '*) line+=" \"$word\"" ;; *) line+=" $word" ;; esac
    done
    printf '%s%s%s\n' "$faint" "$line" "$plain"
}
ruleengine() { .venv/bin/ruleengine "$@"; }
show() { typed "$@"; ruleengine "$@"; }

stop_server() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
finish() {
    local code=$?
    stop_server
    [ "$code" = 0 ] || printf '\nThe demo ended early (exit %s). What it worked on is in %s.\n' "$code" "$demo" >&2
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ -x .venv/bin/ruleengine ] || { echo 'There is no .venv yet. Run: make demo' >&2; exit 1; }
rm -rf "$demo"
mkdir -p "$demo"
cp -R rulesets/grocery "$rules"
rm -rf "$rules/.ruleengine"

tell '1. One year of a grocery chain: 207 households, 11,867 baskets. Are the rules right?'
show check "$rules"

tell '2. Tag everybody as of the end of November. It becomes version 1.'
typed run "$rules" --as-of 2017-11-30
ruleengine run "$rules" --as-of 2017-11-30 >"$demo/november.txt"
sed -n 1p "$demo/november.txt"

tell '3. And at the end of the year: version 2, with what moved since.'
show run "$rules" --as-of 2017-12-31

tell '4. Why? The best household of all:'
show explain "$rules" 1229 loyalty

tell 'One that only just misses Gold:'
show explain "$rules" 1829 loyalty

tell 'And one that never said who it is. What is missing is unknown (?), and an unknown condition gives no tag:'
show explain "$rules" 881 Senior
show explain "$rules" 881 'Win back'

tell '5. What ever changed for it, and the values that decided it:'
show history "$rules" 881

tell '6. The same over HTTP, for the shop, the mailing and the app.'
port=$(.venv/bin/python -c '
import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    print(free.getsockname()[1])')
typed serve "$rules" --port "$port"
.venv/bin/ruleengine serve "$rules" --port "$port" >"$demo/server.log" 2>&1 &
server=$!
if ! .venv/bin/python - "http://127.0.0.1:$port/v1/customers/881" "$server" <<'PYTHON'
import json
import os
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

url, server = sys.argv[1], int(sys.argv[2])
opener = build_opener(ProxyHandler({}))  # loopback never goes through a proxy
for _ in range(150):
    try:
        with opener.open(url, timeout=10) as answer:
            body = json.load(answer)
        break
    except HTTPError as error:
        sys.exit(f"{url} answered {error.code}: {error.read().decode(errors='replace')}")
    except (URLError, ConnectionError):
        try:
            os.kill(server, 0)
        except ProcessLookupError:
            sys.exit("The server ended before it answered.")
        time.sleep(0.2)
else:
    sys.exit("The server did not answer within 30 seconds.")
print(f"$ curl {url}")
print("{" + ",".join(f"\n  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in body.items()) + "\n}")
PYTHON
then
    sed 's/^/  server: /' "$demo/server.log" >&2
    exit 1
fi
stop_server
echo '(the server is stopped again)'

tell 'Where to go next'
cat <<TEXT
  The rules, read aloud             rulesets/grocery/README.md
  Change one, on the demo's copy    $rules/value.rules, then
                                    .venv/bin/ruleengine run $rules --as-of 2017-12-31
  Another household                 .venv/bin/ruleengine explain $rules 389
  A ruleset of your own             .venv/bin/ruleengine new shop
TEXT
