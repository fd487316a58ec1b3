#!/usr/bin/env bash
# A campaign in the sandbox of which every class of failure takes its share, and the desk that works off what is left:
# two people at once, from the command line, each case to its end. The sum of persons must hold at each step.
#
#   benches/trial_desk.sh [PERSONS]        5000
#
#   ENGINE=postgres  on a PostgreSQL of our own instead of SQLite
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
source "$HERE/servers.sh"
persons=${1:-5000}
ENGINE=${ENGINE:-sqlite}
faults="bad-address:6%, refused-by-person:6%, temporary:6%, throttled:6%, content-refused:6%, route-broken:6%, unknown:6%"

[ "$ENGINE" = sqlite ] || start_postgres
cd "$ROOT"
describe "$persons"
dir=$WORK/desk
installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [
  { channel = "email" },
  { channel = "sms", when = "not-delivered", after = "4h" },
  { channel = "phone", when = "not-reached", after = "24h" },
]
retry = { first = "1s", max = "5s" }
TOML
python3 "$HERE/make_list.py" "$persons" >"$dir/list.csv"
if [ "$ENGINE" = postgres ]; then
  ask postgres -c "create database desk"
  (umask 077 && printf '%s\n' "$postgres_at/desk" >"$dir/database")
  sed -i 's#^url = .*#url = "file:database"#' "$dir/config.toml"
fi
cp "$dir/config.toml" "$dir/config.without-routes"

# routes FAULTS
routes() {
  { cat "$dir/config.without-routes" && cat <<TOML; } >"$dir/config.toml"

[[route]]
name = "mail"
channel = "email"
provider = "sandbox"
settings = { dir = "$dir/outbox", faults = "$1" }
[[route]]
name = "text"
channel = "sms"
provider = "sandbox"
settings = { dir = "$dir/outbox", faults = "$1" }
[[route]]
name = "callers"
channel = "phone"
provider = "call-sheet"
settings = { dir = "$dir/calls" }
TOML
}

books() {
  doctor "$dir" >"$dir/doctor.txt"
  check "the books add up ($1)" grep -q "the books add up" "$dir/doctor.txt"
  fw "$dir" --json campaign status "$id" >"$dir/status.json"
  python3 - "$dir/status.json" <<'PY'
import json, sys
s = json.load(open(sys.argv[1]))
print("  persons    ", s["persons"], "=", *(f"{part} {s[part]}" for part in ("satisfied", "in_flight", "needs_human", "unreachable", "excluded")))
PY
}

left() {
  fw "$dir" --json campaign status "$id" | python3 -c 'import json, sys; s = json.load(sys.stdin); print(s["in_flight"] + s["needs_human"])'
}

# Sends until nothing waits: a worker ends when nothing is due at the moment, also while a route rests.
send() {
  local waits=1
  while [ "$waits" -gt 0 ]; do
    fw "$dir" --json worker --once >"$dir/worker.json" 2>"$dir/worker.err" || fail "the worker: $(tail -1 "$dir/worker.err")"
    waits=$(fw "$dir" --json campaign status "$id" | python3 -c 'import json, sys
notices = json.load(sys.stdin)["notices"]
print(notices["queued"] + notices["deferred"] + notices["sending"])')
    [ "$waits" = 0 ] || sleep 1
  done
}

routes "$faults"
id=$(approved_campaign "$dir")
begin=$SECONDS
fw "$dir" --json campaign start "$id" >/dev/null
send
printf '  sent        in %s s\n' $((SECONDS - begin))
books "after the program's part"
fw "$dir" campaign log "$id" --format csv --out "$dir/log.csv" >/dev/null 2>&1
printf '  outcomes    %s\n' "$(python3 - "$dir/log.csv" <<'PY'
import collections, csv, sys
print(dict(collections.Counter(r["class"] for r in csv.DictReader(open(sys.argv[1], encoding="utf-8")) if r["event"] == "attempt")))
PY
)"
# From here on nothing fails: what is corrected arrives, exactly once.
routes ""
begin=$SECONDS
round=0
while [ "$(left)" -gt 0 ] && [ $round -lt 12 ]; do
  round=$((round + 1))
  workers=()
  for name in dora erin; do
    python3 "$HERE/work_desk.py" "$FOREWARN" "$dir/config.toml" "$id" "$name" "$dir/$name.jsonl" 2>"$dir/$name.err" &
    workers+=($!)
  done
  for worker in "${workers[@]}"; do
    wait "$worker" || fail "at the desk: $(cat "$dir"/dora.err "$dir"/erin.err)"
  done
  send
  # Those who are to be called back later are called now: the trial does not wait for tomorrow.
  fw "$dir" --json desk list --campaign "$id" --state call-back --limit 5000 >"$dir/later.json"
  python3 -c 'import json, sys; print("\n".join(c["ref"] for c in json.load(open(sys.argv[1]))["cases"]))' "$dir/later.json" |
    while read -r reference; do
      [ -z "$reference" ] || fw "$dir" --json desk call "$reference" --disposition informed --by dora >/dev/null
    done
  books "after round $round at the desk"
done
printf '  desk        %s s, %s rounds\n' $((SECONDS - begin)) "$round"
check "everybody is worked off" python3 "$HERE/check_desk.py" "$dir/outbox" "$dir/status.json" "$dir/dora.jsonl" "$dir/erin.jsonl"
check "it is finished" test "$(field state <"$dir/status.json")" = finished
check "no call is left on a sheet" test "$(find "$dir/calls/tasks" -type f | wc -l)" = 0
conclude
