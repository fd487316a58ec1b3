#!/usr/bin/env bash
# Every person is told, nobody twice by our fault: a campaign by email, and every message that arrived held against the
# log. Four runs: all goes well; the worker is killed half-way; the relay refuses 5 % and drops connections; both.
#
#   benches/trial_email.sh [PERSONS]      20000
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
persons=${1:-20000}

describe "$persons"
python3 "$HERE/make_list.py" "$persons" --contacts email >"$WORK/list.csv"

# Kills the worker with SIGKILL once half of the persons are settled.
kill_half_way() {
  local worker=$1 dir=$2 id=$3
  while kill -0 "$worker" 2>/dev/null; do
    if [ "$(fw "$dir" --json campaign status "$id" | field satisfied)" -ge $((persons / 2)) ]; then
      kill -KILL "$worker" 2>/dev/null || break
      return
    fi
  done
  fail "the worker ended before it could be killed: take more persons"
}

# run NAME clean|faulty whole|killed
run() {
  local name=$1 relay=$2 how=$3 dir=$WORK/$1 sink=$WORK/$1.sink id receiver relay_pid port worker code=0
  printf '%s\n' "$name"
  installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "email" }]
retry = { first = "1s", max = "5s" }
TOML
  cp "$WORK/list.csv" "$dir/list.csv"
  if [ "$relay" = faulty ]; then
    start_sink "$sink"
    port=$(free_port)
    python3 "$HERE/faulty_relay.py" "$port" "$sink/record.jsonl" --next "127.0.0.1:$sink_port" --refuse 0.05 --drop 0.005 &
    relay_pid=$!
    started+=("$relay_pid")
    wait_for_port "$port"
    receiver=(--record "$sink/record.jsonl")
  else
    start_sink "$sink" -D "$sink/dump"
    port=$sink_port
    receiver=(--dump "$sink/dump")
  fi
  smtp_route "$dir" "$port"
  id=$(approved_campaign "$dir")
  local begin=$SECONDS
  # Not through a function: the process that is killed must be the worker itself.
  "$FOREWARN" --config "$dir/config.toml" --json campaign start "$id" --wait >"$dir/started.json" 2>"$dir/start.err" &
  worker=$!
  if [ "$how" = killed ]; then
    kill_half_way "$worker" "$dir" "$id"
    wait "$worker" 2>/dev/null || code=$?
    check "it was killed" test "$code" = 137
    code=0
    printf '  killed      with %s\n' "$(fw "$dir" --json campaign status "$id" | python3 -c 'import json, sys
s = json.load(sys.stdin); print(s["notices"])')"
    fw "$dir" --json campaign start "$id" --wait >"$dir/started.json" 2>>"$dir/start.err" || code=$?
  else
    wait "$worker" || code=$?
  fi
  printf '  took        %s s\n' $((SECONDS - begin))
  check "the worker ended well" test "$code" = 0
  fw "$dir" --json campaign status "$id" >"$dir/status.json"
  fw "$dir" campaign log "$id" --reveal --format csv --out "$dir/log.csv" >/dev/null 2>&1
  stop ${relay_pid:+"$relay_pid"}
  sleep 1 # what was under way to the sink arrives
  count=$(sink_count "$sink")
  stop "$sink_pid"
  check "books" python3 "$HERE/check_books.py" "$dir/log.csv" "$WORK/list.csv" "$dir/status.json" "$count" "${receiver[@]}"
  if [ "$relay-$how" = clean-whole ]; then
    check "sink $count = accepted in the log = persons" test "$count $(grep -c ',attempt,accepted,' "$dir/log.csv")" = "$persons $persons"
  fi
}

run "clean" clean whole
run "clean, killed" clean killed
run "faulty" faulty whole
run "faulty, killed" faulty killed
conclude
