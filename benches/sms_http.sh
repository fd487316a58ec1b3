#!/usr/bin/env bash
# The whole path of an SMS over HTTP (claim, open, render, POST, record), held against a loop of the same HTTP client
# that only POSTs, to the same receiver in the same run. The rounds alternate in their order.
#
#   benches/sms_http.sh [PERSONS [ROUNDS [REQUESTS [CONCURRENCY]]]]    50000 persons, 5 rounds, 50000 requests, 32
#
# The route is `webhook` with keys; the loop sends the body of one of our own texts, over as many connections. Ours is
# timed from the start of `campaign start --wait` to its end: opening the database, planning and closing included; the
# loop from the start of its process to its end.
#
#   HTTP_LOOP  the built example [target/release/examples/http_loop]: cargo build --release --example http_loop
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
persons=${1:-50000} rounds=${2:-5} requests=${3:-50000} concurrency=${4:-32}
HTTP_LOOP=${HTTP_LOOP:-$ROOT/target/release/examples/http_loop}
[ -x "$HTTP_LOOP" ] || fail "$HTTP_LOOP is not there: cargo build --release --example http_loop"

describe "$persons $rounds $requests $concurrency"

# Starts a receiver. Sets port and receiver_pid.
start_receiver() {
  port=$(free_port)
  "$HTTP_LOOP" receive "$port" &
  receiver_pid=$!
  started+=("$receiver_pid")
  wait_for_port "$port"
}

received() {
  python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "http://127.0.0.1:$port/count"
}

installation "$WORK/approved" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "sms" }]
TOML
python3 "$HERE/make_list.py" "$persons" --contacts phone >"$WORK/approved/list.csv"
cat >>"$WORK/approved/config.toml" <<TOML

[[route]]
name = "bridge"
channel = "sms"
provider = "webhook"
concurrency = $concurrency
settings = { base_url = "http://127.0.0.1:1/", idempotent = true }
TOML
id=$(approved_campaign "$WORK/approved")

# A body as long as ours: the text of a preview in the envelope of the webhook.
fw "$WORK/approved" --json campaign preview "$id" --out "$WORK/preview" >/dev/null
python3 - "$WORK/preview" >"$WORK/body.json" <<'PYTHON'
import json, pathlib, statistics, sys
texts = [path.read_text() for path in sorted(pathlib.Path(sys.argv[1]).glob("sms-*.txt"))]
assert texts, "the preview holds no SMS"
length = statistics.median(len(text.encode()) for text in texts)
text = min(texts, key=lambda text: abs(len(text.encode()) - length))
print(json.dumps({"notice": "0" * 36, "campaign": "2026-001-abcde", "channel": "sms", "to": "+15555550100", "language": "en",
                  "country": "US", "text": text, "idempotency_key": "0" * 36 + "-0", "attempt": 1}, ensure_ascii=False))
PYTHON
printf 'requests    POST of %s octets, %s connections\n' "$(stat -c %s "$WORK/body.json")" "$concurrency"
sync

# One run on a fresh copy of the approved campaign. Sets rate and peak.
ours() {
  local dir=$WORK/ours accepted count
  rm -rf "$dir"
  cp -r "$WORK/approved" "$dir"
  start_receiver
  sed -i "s#http://127.0.0.1:1/#http://127.0.0.1:$port/#" "$dir/config.toml"
  sync
  python3 "$HERE/measure.py" "$WORK/took.json" "$FOREWARN" --config "$dir/config.toml" --json \
    campaign start "$id" --wait >"$dir/started.json" 2>"$dir/start.err" || fail "campaign start: $(cat "$dir/start.err")"
  count=$(received)
  stop "$receiver_pid"
  accepted=$(fw "$dir" campaign log "$id" --format csv | grep -c ',attempt,accepted,')
  rate=$(calculate "round($persons / $(field wall_s <"$WORK/took.json"))")
  peak=$(field peak_rss_mb <"$WORK/took.json")
  printf '  ours        %6s texts/s, %s s of CPU, peak %s MB\n' "$rate" "$(field cpu_s <"$WORK/took.json")" "$peak"
  check "receiver $count = log $accepted = $persons persons" test "$count $accepted" = "$persons $persons"
}

# One run of the bare loop. Sets rate.
theirs() {
  start_receiver
  python3 "$HERE/measure.py" "$WORK/took.json" "$HTTP_LOOP" send "http://127.0.0.1:$port/" "$requests" "$concurrency" \
    "$WORK/body.json" >/dev/null 2>"$WORK/loop.err" || fail "http_loop: $(cat "$WORK/loop.err")"
  check "receiver took $requests" test "$(received)" = "$requests"
  stop "$receiver_pid"
  rate=$(calculate "round($requests / $(field wall_s <"$WORK/took.json"))")
  printf '  bare loop   %6s requests/s, %s s of CPU\n' "$rate" "$(field cpu_s <"$WORK/took.json")"
}

own=() bare=() peaks=() ratios=()
for round in $(seq "$rounds"); do
  printf 'round %d\n' "$round"
  if [ $((round % 2)) = 1 ]; then order="ours theirs"; else order="theirs ours"; fi
  for case in $order; do
    case $case in
      ours) ours; own+=("$rate") peaks+=("$peak") ;;
      theirs) theirs; bare+=("$rate") ;;
    esac
  done
  ratios+=("$(calculate "round(${own[-1]} / ${bare[-1]}, 3)")")
done
printf 'median      ours %s texts/s, bare loop %s requests/s, peak %s MB\n' "$(median "${own[@]}")" "$(median "${bare[@]}")" "$(median "${peaks[@]}")"
printf 'median      ratio %s (goal: 0.25)\n' "$(median "${ratios[@]}")"
conclude
