#!/usr/bin/env bash
# Email: our whole path, nodemailer's pool, which keeps no record, and smtp-source, which only sends one text, to the
# same smtp-sink in the same run. The rounds alternate in their order.
#
#   benches/peers/nodemailer.sh [PERSONS [ROUNDS [MESSAGES]]]     100000 persons, 5 rounds, 20000 messages of the others
#
# nodemailer is installed from npm into the folder of the run. Its pool is first tried with 4, 8, 16 and 32 connections;
# the best goes into the rounds. All three send messages of the same size: the mean of ours.
source "$(dirname "${BASH_SOURCE[0]}")/../setting.sh"
source "$HERE/email_run.sh"
persons=${1:-100000} rounds=${2:-5} messages=${3:-20000}
need node "on Debian: apt-get install nodejs npm"
need npm "on Debian: apt-get install npm"

describe "$persons $rounds $messages"
cp "$HERE/peers/package.json" "$HERE/peers/pool.mjs" "$WORK/"
(cd "$WORK" && npm install --no-audit --no-fund --ignore-scripts --loglevel=error >npm.log 2>&1) || fail "npm install: $(cat "$WORK/npm.log")"
printf 'peer        nodemailer %s, node %s\n' "$(field version <"$WORK/node_modules/nodemailer/package.json")" "$(node --version)"
prepare_ours "$persons"

# pool CONNECTIONS MESSAGES: one run of nodemailer. Sets rate.
pool() {
  start_sink "$WORK/sink"
  python3 "$HERE/measure.py" "$WORK/took.json" node "$WORK/pool.mjs" "$sink_port" "$2" "$1" "$size" >"$WORK/pool.json" 2>"$WORK/pool.err" ||
    fail "pool.mjs: $(cat "$WORK/pool.err")"
  check "sink took $2" test "$(sink_count "$WORK/sink")" = "$2"
  stop "$sink_pid"
  rate=$(calculate "round($2 / $(field wall_s <"$WORK/took.json"))")
  printf '  nodemailer  %6s msgs/s of %s octets, %s connections, %s s of CPU\n' "$rate" "$(field octets <"$WORK/pool.json")" "$1" \
    "$(field cpu_s <"$WORK/took.json")"
}

printf 'nodemailer at its best setting\n'
best=0 connections=0
for count in 4 8 16 32; do
  pool "$count" "$((messages / 2))"
  if [ "$rate" -gt "$best" ]; then best=$rate connections=$count; fi
done

own=() only=() peer=() to_only=() to_peer=()
for round in $(seq "$rounds"); do
  printf 'round %d\n' "$round"
  if [ $((round % 2)) = 1 ]; then order="ours peer only"; else order="only peer ours"; fi
  for case in $order; do
    case $case in
      ours) ours "$persons"; own+=("$rate") ;;
      peer) pool "$connections" "$messages"; peer+=("$rate") ;;
      only) theirs "$size" "$messages"; only+=("$rate") ;;
    esac
  done
  to_peer+=("$(calculate "round(${own[-1]} / ${peer[-1]}, 3)")")
  to_only+=("$(calculate "round(${own[-1]} / ${only[-1]}, 3)")")
done
printf 'median      ours %s msgs/s, nodemailer (%s connections) %s msgs/s, smtp-source %s msgs/s\n' "$(median "${own[@]}")" \
  "$connections" "$(median "${peer[@]}")" "$(median "${only[@]}")"
printf 'median      %s x nodemailer (goal: 5), %s x smtp-source (goal: 1.0)\n' "$(median "${to_peer[@]}")" "$(median "${to_only[@]}")"
conclude
