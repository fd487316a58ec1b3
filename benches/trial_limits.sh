#!/usr/bin/env bash
# Two limits at once on a route are never exceeded in any window, by the clock of a receiver that writes down when each
# message came. The last run is killed in the middle of a window and started again: what went before still counts. Takes
# over two minutes, as a limit a minute cannot be tried faster; the runs go side by side.
#
#   benches/trial_limits.sh [PERSONS]     450
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
persons=${1:-450}

describe "$persons"

# begin NAME LIMITS: starts a run in the background.
begin() {
  local dir=$WORK/$1 port
  installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "email" }]
TOML
  python3 "$HERE/make_list.py" "$persons" --contacts email >"$dir/list.csv"
  port=$(free_port)
  python3 "$HERE/faulty_relay.py" "$port" "$dir/record.jsonl" &
  started+=("$!")
  wait_for_port "$port"
  smtp_route "$dir" "$port" "limits = $2"
  id=$(approved_campaign "$dir")
  work "$dir" "$id"
}

# work DIR ID: a worker in the background.
work() {
  "$FOREWARN" --config "$1/config.toml" --json campaign start "$2" --wait >"$1/started.json" 2>>"$1/start.err" &
  workers+=("$!")
  started+=("$!")
}

# finish NAME WORKER LIMIT…
finish() {
  local dir=$WORK/$1
  printf '%s\n' "$(grep '^limits' "$dir/config.toml")"
  check "the worker ended well" wait "$2"
  check "limits" python3 "$HERE/check_limits.py" "$dir/record.jsonl" "$persons" "${@:3}"
}

workers=()
begin second '[{ rate = 50, per = "1s" }, { rate = 200, per = "1m" }]'
begin tens '[{ rate = 500, per = "10s" }, { rate = 200, per = "1m" }]'
# Without the limit a minute, so that the other one is met too.
begin short '[{ rate = 50, per = "1s" }, { rate = 120, per = "10s" }]'
begin killed '[{ rate = 50, per = "1s" }, { rate = 120, per = "10s" }]'
sleep 5
kill -KILL "${workers[3]}"
wait "${workers[3]}" 2>/dev/null || true
work "$WORK/killed" "$id"
finish short "${workers[2]}" 50/1 120/10
printf 'killed and started again: '
finish killed "${workers[4]}" 50/1 120/10
finish second "${workers[0]}" 50/1 200/60
finish tens "${workers[1]}" 500/10 200/60
conclude
