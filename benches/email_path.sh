#!/usr/bin/env bash
# The whole path of an email (claim, open, render, send, record) to smtp-sink, held against smtp-source, which only
# sends, to the same sink in the same run. The rounds alternate in their order.
#
#   benches/email_path.sh [PERSONS [ROUNDS [MESSAGES]]]    100000 persons, 5 rounds, 20000 messages of smtp-source
#
# smtp-source runs with -s 16 -d (16 sessions, connections kept), once with the mean size of our messages and
# once with 10240 octets. ENGINE=postgres keeps everything in a PostgreSQL of our own instead of SQLite.
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
[ "${ENGINE:-sqlite}" = sqlite ] || source "$HERE/servers.sh"
source "$HERE/email_run.sh"
persons=${1:-100000} rounds=${2:-5} messages=${3:-20000}

describe "$persons $rounds $messages"
[ "${ENGINE:-sqlite}" = sqlite ] || start_postgres shared_buffers=512MB max_wal_size=4GB

prepare_ours "$persons"

own=() same=() ten=() peaks=() ratios=() ratios_ten=()
for round in $(seq "$rounds"); do
  printf 'round %d\n' "$round"
  if [ $((round % 2)) = 1 ]; then order="ours same ten"; else order="ten same ours"; fi
  for case in $order; do
    case $case in
      ours) ours "$persons"; own+=("$rate") peaks+=("$peak") ;;
      same) theirs "$size" "$messages"; same+=("$rate") ;;
      ten) theirs 10240 "$messages"; ten+=("$rate") ;;
    esac
  done
  ratios+=("$(calculate "round(${own[-1]} / ${same[-1]}, 3)")")
  ratios_ten+=("$(calculate "round(${own[-1]} / ${ten[-1]}, 3)")")
done
printf 'median      ours %s msgs/s, smtp-source %s msgs/s (%s octets), %s msgs/s (10240 octets)\n' "$(median "${own[@]}")" \
  "$(median "${same[@]}")" "$size" "$(median "${ten[@]}")"
printf 'median      ratio %s (same size), %s (10240); peak %s MB\n' "$(median "${ratios[@]}")" "$(median "${ratios_ten[@]}")" "$(median "${peaks[@]}")"
conclude
