#!/usr/bin/env bash
# No personal data of the list in what forewarn prints or keeps in the database. A campaign over all three channels, with
# failures on each, runs with FOREWARN_LOG=trace; killed once half-way, so that the database's -wal and -shm stay as a crash
# leaves them. Then every reference, name, address and number of the list is looked for: in stdout and stderr of every
# command, and in the raw bytes of the database files.
#
#   benches/privacy.sh [PERSONS]          2000
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
persons=${1:-2000}
export FOREWARN_LOG=trace RUST_BACKTRACE=1

describe "$persons"
dir=$WORK/campaign out=$WORK/printed
mkdir -p "$out"
installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [
  { channel = "email" },
  { channel = "sms", when = "not-delivered", after = "0s" },
  { channel = "phone", when = "not-reached", after = "0s" },
]
retry = { first = "1s", max = "2s" }
TOML
python3 "$HERE/make_list.py" "$persons" >"$dir/list.csv"

# Rows that make forewarn complain, with data of their own.
cat >>"$dir/list.csv" <<'CSV'
FWB-BAD-1,Nobody Quillworthy,quillworthy.example.com,,en-US,US,
FWB-BAD-2,Brusque Tamarisk,tamarisk@@post.example,+1 212 55,en-US,US,
FWB-BAD-3,Ottoline Fernsby,ottoline.fernsby@post.example,12,en-GB,GB
FWB-0000001,Second Vetchling,vetchling@post.example,,en-US,US,
FWB-BAD-5,"Gisbert
Querzeile",gisbert.querzeile@post.example,,de-DE,DE,,one cell too many
CSV

port=$(free_port)
python3 "$HERE/faulty_relay.py" "$port" "$WORK/record.jsonl" --refuse 0.3 --drop 0.02 2>"$WORK/relay.err" &
started+=("$!")
wait_for_port "$port"
smtp_route "$dir" "$port" 'limits = [{ rate = 500, per = "1s" }]'
cat >>"$dir/config.toml" <<'TOML'

[[route]]
name = "texts"
channel = "sms"
provider = "sandbox"
settings = { dir = "outbox", faults = "bad-address:20%, temporary:10%, unknown:10%" }

[[route]]
name = "callers"
channel = "phone"
provider = "call-sheet"
settings = { dir = "calls" }
TOML

# run NAME ARGUMENTS…: a command whose output is kept. Its exit code goes into NAME.code.
run() {
  local name=$1 code=0
  shift
  fw "$dir" "$@" >"$out/$name.out" 2>"$out/$name.err" || code=$?
  printf '%s\n' "$code" >"$out/$name.code"
}

run check check "$dir/incident.toml"
run create --json campaign create "$dir/incident.toml" --by alice --rejects "$WORK/rejects.csv"
[ -s "$out/create.out" ] || fail "campaign create: $(tail -3 "$out/create.err")"
id=$(field campaign <"$out/create.out")
run show campaign show "$id"
run approve campaign approve "$id" --by bob
"$FOREWARN" --config "$dir/config.toml" campaign start "$id" --wait >"$out/killed.out" 2>"$out/killed.err" &
worker=$!
while [ "$(fw "$dir" --json campaign status "$id" 2>/dev/null | field satisfied)" -lt $((persons / 4)) ]; do
  kill -0 "$worker" 2>/dev/null || fail "the worker ended before it could be killed (take more persons?): $(tail -2 "$out/killed.err")"
done
kill -KILL "$worker"
wait "$worker" 2>/dev/null || true
mkdir "$WORK/crashed"
cp "$dir"/forewarn.db* "$WORK/crashed/"
run start --json campaign start "$id" --wait
run retry campaign retry "$id" --reason-class unknown
run worker worker --once
run status campaign status "$id"
run status-json --json campaign status "$id"
run list campaign list
run doctor doctor
run calls campaign calls "$id" --export "$WORK/sheets"
# The log names people by reference and masked contact, as it is meant to: it is not looked into for references.
fw "$dir" campaign log "$id" --format csv >"$WORK/log.csv" 2>"$out/log.err"
cp "$WORK/log.csv" "$WORK/masked-log.csv"

python3 - "$dir/list.csv" "$WORK" <<'PY'
import csv, re, sys
rows = [row for row in csv.reader(open(sys.argv[1], encoding="utf-8", newline="")) if row][1:]
found = {"references": set(), "names": set(), "addresses": set(), "numbers": set()}
for row in rows:
    reference, name, email, phone = row[:4]
    found["references"].add(reference)
    # Whole, and the part of it that is this person's own.
    found["names"] |= {name.replace("\n", " "), max(re.split(r"\s", name), key=len) if " " in name else name}
    found["addresses"] |= {email, email.split("@")[0]}
    digits = re.sub(r"\D", "", phone).lstrip("0")
    found["numbers"] |= {phone, digits, re.sub(r"^(86|49|33|34|81|55|44|1)", "", digits)} if len(digits) > 6 else {phone}
given = {"Harper", "Annegret", "Solène", "Íñigo", "Conceição", "Rosalind"}
for kind, values in found.items():
    values = {v for v in values if len(v) > 3} - given
    with open(f"{sys.argv[2]}/{kind}", "w", encoding="utf-8") as file:
        file.writelines(v + "\n" for v in sorted(values))
    print(f"  {kind}: {len(values)} things to look for")
PY

# seek KIND FILE…: how often a thing of that kind stands there. Case does not count; folded beforehand and by bytes, as
# grep -i needs gigabytes for so many things. A search that fails is no 0: it says so, and no check takes that for a number.
seek() {
  local kind=$1
  shift
  cat "$@" | fold_case | { LC_ALL=C grep -aoF -f <(fold_case <"$WORK/$kind") || [ $? -eq 1 ]; } | wc -l || echo "search failed"
}

fold_case() {
  LC_ALL=C tr '[:upper:]' '[:lower:]'
}

printf '  printed     %s bytes on stdout and stderr, %s lines of log\n' "$(cat "$out"/*.out "$out"/*.err | wc -c)" \
  "$(cat "$out"/*.err | grep -cE ' (TRACE|DEBUG|INFO|WARN|ERROR) ' || true)"
printf '  database    %s; after the kill %s\n' "$(cd "$dir" && stat -c '%n %s' forewarn.db* | paste -sd,)" \
  "$(cd "$WORK/crashed" && stat -c '%n %s' forewarn.db* | paste -sd,)"
printf '  status      after start --wait: %s\n' "$(field notices <"$out/start.out")"
# `worker --once` ends when nothing is due now: a text put off for a second or two may still be `deferred` here.
printf '  status      after retry and worker --once: %s\n' "$(field notices <"$out/status-json.out")"
for kind in references names addresses numbers; do
  check "the search finds $kind where they are: $(seek $kind "$dir/list.csv") in the list" test "$(seek $kind "$dir/list.csv")" -gt "$persons"
  n=$(seek $kind "$out"/*.out "$out"/*.err)
  check "$kind on stdout and stderr: $n" test "$n" = 0
  n=$(seek $kind "$dir"/forewarn.db*)
  check "$kind in the database: $n" test "$n" = 0
  n=$(seek $kind "$WORK/crashed"/*)
  check "$kind in the database as the kill left it: $n" test "$n" = 0
  [ $kind = references ] && continue
  n=$(seek $kind "$WORK/masked-log.csv")
  check "$kind in the campaign log without --reveal: $n" test "$n" = 0
done
conclude
