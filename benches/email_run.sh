# One run of our email path, and one of smtp-source, each to a fresh smtp-sink; for the trials that compare them.
# Sourced after setting.sh, and servers.sh where the database is PostgreSQL. Ours is timed from the start of `campaign start --wait` to its end: opening the database,
# planning and closing included.

need smtp-source "on Debian: apt-get install postfix (its daemon need not run)"

# ready DIR PERSONS: an approved campaign whose relay is at port @PORT@. Sets id.
ready() {
  installation "$1" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "email" }]
TOML
  python3 "$HERE/make_list.py" "$2" --contacts email >"$1/list.csv"
  smtp_route "$1" 2525
  [ "${ENGINE:-sqlite}" = sqlite ] || on_postgres "$1" "$(basename "$1")"
  id=$(approved_campaign "$1")
}

# on_postgres DIR DATABASE [TEMPLATE]: DIR's installation uses a fresh database, a copy of TEMPLATE if that is given.
on_postgres() {
  ask postgres -c "set client_min_messages = warning" -c "drop database if exists $2" -c "create database $2 template ${3:-template0}"
  sed -i "s#^url = .*#url = \"$postgres_at/$2\"#" "$1/config.toml"
  ask "$2" -c checkpoint
}

# prepare_ours PERSONS: an approved campaign to copy for each run. Sets id, and size: the mean of our messages, from a
# small run to a receiver that writes it down.
prepare_ours() {
  local port
  ready "$WORK/sample" 800
  port=$(free_port)
  python3 "$HERE/faulty_relay.py" "$port" "$WORK/sample.jsonl" &
  started+=("$!")
  wait_for_port "$port"
  sed -i "s/port = 2525/port = $port/" "$WORK/sample/config.toml"
  fw "$WORK/sample" --json campaign start "$id" --wait >/dev/null 2>&1
  size=$(python3 -c 'import json, statistics, sys
print(round(statistics.mean(json.loads(line)["octets"] for line in open(sys.argv[1]))))' "$WORK/sample.jsonl")
  stop "${started[-1]}"
  printf 'messages    ours of 800 persons: %s octets in the mean\n' "$size"
  ready "$WORK/approved" "$1"
  sync
}

# ours PERSONS: one run on a fresh copy of the approved campaign. Sets rate and peak.
ours() {
  local persons=$1 dir=$WORK/ours count accepted
  rm -rf "$dir"
  cp -r "$WORK/approved" "$dir"
  [ "${ENGINE:-sqlite}" = sqlite ] || on_postgres "$dir" ours approved
  start_sink "$WORK/sink"
  sed -i "s/port = 2525/port = $sink_port/" "$dir/config.toml"
  sync
  python3 "$HERE/measure.py" "$WORK/took.json" "$FOREWARN" --config "$dir/config.toml" --json \
    campaign start "$id" --wait >"$dir/started.json" 2>"$dir/start.err" || fail "campaign start: $(cat "$dir/start.err")"
  count=$(sink_count "$WORK/sink")
  stop "$sink_pid"
  accepted=$(fw "$dir" campaign log "$id" --format csv | grep -c ',attempt,accepted,')
  rate=$(calculate "round($persons / $(field wall_s <"$WORK/took.json"))")
  peak=$(field peak_rss_mb <"$WORK/took.json")
  printf '  ours        %6s msgs/s, %s s of CPU, peak %s MB\n' "$rate" "$(field cpu_s <"$WORK/took.json")" "$peak"
  check "sink $count = log $accepted = $persons persons" test "$count $accepted" = "$persons $persons"
}

# theirs SIZE MESSAGES: one run of smtp-source. Sets rate.
theirs() {
  local messages=$2
  start_sink "$WORK/sink"
  python3 "$HERE/measure.py" "$WORK/took.json" smtp-source -d -s 16 -l "$1" -m "$messages" "127.0.0.1:$sink_port" 2>"$WORK/source.err" ||
    fail "smtp-source: $(cat "$WORK/source.err")"
  check "sink took $messages" test "$(sink_count "$WORK/sink")" = "$messages"
  stop "$sink_pid"
  rate=$(calculate "round($messages / $(field wall_s <"$WORK/took.json"))")
  printf '  smtp-source %6s msgs/s of %s octets\n' "$rate" "$1"
}
