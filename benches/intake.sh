#!/usr/bin/env bash
# Taking in a customer list: `campaign create` into a fresh database, everything sealed.
#
#   benches/intake.sh [ROWS [ROUNDS]]     1000000 rows, 3 rounds
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
rows=${1:-1000000} rounds=${2:-3}

describe "$rows $rounds"
python3 "$HERE/make_list.py" "$rows" >"$WORK/list.csv"
printf 'list        %s rows, %s bytes, email and telephone each\n' "$rows" "$(stat -c %s "$WORK/list.csv")"
rates=() peaks=()
for round in $(seq "$rounds"); do
  dir=$WORK/round
  rm -rf "$dir"
  installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "email" }, { channel = "sms", when = "not-delivered", after = "4h" }]
TOML
  smtp_route "$dir" 2525
  printf '\n[[route]]\nname = "sms"\nchannel = "sms"\nprovider = "sandbox"\nsettings = { dir = "outbox" }\n' >>"$dir/config.toml"
  ln "$WORK/list.csv" "$dir/list.csv"
  cat "$dir/list.csv" >/dev/null
  python3 "$HERE/measure.py" "$WORK/took.json" "$FOREWARN" --config "$dir/config.toml" --json \
    campaign create "$dir/incident.toml" --by alice >"$WORK/created.json" 2>"$WORK/create.err" || fail "$(cat "$WORK/create.err")"
  wall=$(field wall_s <"$WORK/took.json") peak=$(field peak_rss_mb <"$WORK/took.json")
  rates+=("$(calculate "round($rows / $wall)")") peaks+=("$peak")
  printf 'round %d     %s rows/s, %s s, %s s of CPU, peak %s MB, database %s MB\n' "$round" "${rates[-1]}" "$wall" \
    "$(field cpu_s <"$WORK/took.json")" "$peak" "$(du -cm "$dir"/forewarn.db* | tail -1 | cut -f1)"
  check "every row is a person" test "$(field rows <"$WORK/created.json") $(field persons <"$WORK/created.json")" = "$rows $rows"
  check "every address was understood" test "$(field by_channel email <"$WORK/created.json") $(field by_channel sms <"$WORK/created.json")" = "$rows $rows"
done
printf 'median      %s rows/s, peak %s MB\n' "$(median "${rates[@]}")" "$(median "${peaks[@]}")"
conclude
