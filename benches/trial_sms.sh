#!/usr/bin/env bash
# A campaign by SMS to a real Kannel, its operator's record held against the log. Two runs: all goes well; the worker is
# killed half-way, so that some texts are unknown: these are held until a person says `campaign retry`.
#
#   benches/trial_sms.sh [PERSONS]        20000
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
source "$HERE/kannel.sh"
persons=${1:-20000}

describe "$persons"
python3 "$HERE/make_list.py" "$persons" --contacts phone >"$WORK/list.csv"

books() {
  fw "$dir" --json campaign status "$id" >"$dir/status.json"
  fw "$dir" campaign log "$id" --reveal --format csv --out "$1" >/dev/null 2>&1
  settled "$gateway"
  check "books" python3 "$HERE/check_texts.py" "$gateway/operator.log" "$gateway/access.log" "$1" "$dir/status.json" "$WORK/list.csv" "${@:2}"
}

run() {
  local name=$1 how=$2 worker code=0 begin
  dir=$WORK/$name gateway=$WORK/$name.gateway
  printf '%s\n' "$name"
  installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "sms" }]
retry = { first = "1s", max = "5s" }
TOML
  cp "$WORK/list.csv" "$dir/list.csv"
  start_kannel "$gateway"
  (umask 077 && printf 'trial\n' >"$dir/password")
  cat >>"$dir/config.toml" <<TOML

[[route]]
name = "gateway"
channel = "sms"
provider = "kannel"
settings = { base_url = "http://127.0.0.1:$sendsms_port", username = "fw", password = "file:password", max_messages = 9 }
TOML
  id=$(approved_campaign "$dir")
  begin=$SECONDS
  # Not through a function: the process that is killed must be the worker itself.
  "$FOREWARN" --config "$dir/config.toml" --json campaign start "$id" --wait >"$dir/started.json" 2>"$dir/start.err" &
  worker=$!
  if [ "$how" = killed ]; then
    while [ "$(fw "$dir" --json campaign status "$id" | field notices accepted)" -lt $((persons / 2)) ]; do
      kill -0 "$worker" 2>/dev/null || fail "the worker ended before it could be killed: take more persons"
    done
    kill -KILL "$worker"
    wait "$worker" 2>/dev/null || code=$?
    check "it was killed" test "$code" = 137
    code=0
    printf '  killed      with %s\n' "$(fw "$dir" --json campaign status "$id" | field notices)"
    fw "$dir" --json campaign start "$id" --wait >"$dir/started.json" 2>>"$dir/start.err" || code=$?
  else
    wait "$worker" || code=$?
  fi
  printf '  took        %s s\n' $((SECONDS - begin))
  check "the worker ended well" test "$code" = 0
  books "$dir/log.csv"
  if [ "$how" = killed ]; then
    check "some texts are unknown" test "$(field notices unknown <"$dir/status.json")" -gt 0
    printf '  retry       %s\n' "$(fw "$dir" campaign retry "$id" --reason-class unknown 2>&1 | head -1)"
    code=0
    fw "$dir" --json worker --once >/dev/null 2>>"$dir/start.err" || code=$?
    check "the worker ended well" test "$code" = 0
    books "$dir/log-after.csv" --before "$dir/log.csv"
    check "nothing is held any more" test "$(field notices accepted <"$dir/status.json")" = "$persons"
  else
    check "the gateway took $persons" test "$(grep -c 'send-SMS request added' "$gateway/access.log")" = "$persons"
  fi
  stop_kannel
}

run clean whole
run killed killed
conclude
