#!/usr/bin/env bash
# One campaign as large as a bank, on a PostgreSQL of our own: taking it in, asking for it, sending a sample of it. Then
# many campaigns beside it; and one of them is archived, dropped and brought back.
#
#   benches/scale.sh [PERSONS [CAMPAIGNS]]     1000000 persons, 20 campaigns of 5000
#
# 10000000 take 15 GB of disk and about a quarter of an hour. While questions are asked, PostgreSQL writes down the plan
# of every statement: one that reads a table of persons from end to end is a mismatch.
ENGINE=postgres
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
source "$HERE/servers.sh"
source "$HERE/email_run.sh"
persons=${1:-1000000} campaigns=${2:-20} each=5000
MOST_MEMORY=250 # MB, of any process of ours
MOST_TIME=0.2   # s, for what is asked on a screen

# took NAME COMMAND…: runs forewarn in the large installation; prints and sets wall and peak. Its answer: $WORK/answer.
took() {
  local name=$1
  shift
  python3 "$HERE/measure.py" "$WORK/took.json" "$FOREWARN" --config "$large/config.toml" --json "$@" >"$WORK/answer" 2>"$WORK/err" ||
    fail "$name: $(cat "$WORK/err")"
  wall=$(field wall_s <"$WORK/took.json") peak=$(field peak_rss_mb <"$WORK/took.json")
  printf '%-28s %8s s, peak %5s MB\n' "$name" "$wall" "$peak"
  check "at most $MOST_MEMORY MB" test "$(calculate "int($peak <= $MOST_MEMORY)")" = 1
}

# asked NAME COMMAND…: as took, for what somebody waits for.
asked() {
  took "$@"
  check "at most $MOST_TIME s" test "$(calculate "int($wall <= $MOST_TIME)")" = 1
}

# satisfied ID: how many persons are.
satisfied() {
  fw "$large" --json campaign status "$1" | field satisfied
}

# A worker until so many persons of a campaign are satisfied, then a pause.
send_sample() {
  local wanted=$1
  python3 "$HERE/measure.py" "$WORK/took.json" "$FOREWARN" --config "$large/config.toml" worker >/dev/null 2>"$WORK/worker.err" &
  local worker=$!
  started+=("$worker")
  while [ "$(satisfied "$id")" -lt "$wanted" ]; do sleep 1; done
  fw "$large" campaign pause "$id" --reason "sample" >/dev/null 2>&1
  # The one that runs, not what measures it.
  kill "$(pgrep -P "$worker")"
  wait "$worker"
  peak=$(field peak_rss_mb <"$WORK/took.json")
  printf '%-28s %8s s, peak %5s MB\n' "worker, 1 % sample" "$(field wall_s <"$WORK/took.json")" "$peak"
  check "at most $MOST_MEMORY MB" test "$(calculate "int($peak <= $MOST_MEMORY)")" = 1
}

# The plans since the last call must find their rows by key.
check_plans() {
  local plans scans
  # awk, because a grep that finds none ends as one that failed does.
  plans=$(awk '/duration: .* plan:/ { n++ } END { print n + 0 }' "$place/log")
  scans=$(awk -v scan="Seq Scan on ($(tr ' ' '|' <<<"$LARGE"))" '$0 ~ scan { n++ } END { print n + 0 }' "$place/log")
  printf 'plans seen  %s; slowest statement %s ms\n' "$plans" "$(sed -n 's/.*duration: \([0-9.]*\) ms.*/\1/p' "$place/log" | sort -n | tail -1)"
  check "plans were written down" test "$plans" -gt 20
  check "none reads a large table from end to end" test "$scans" = 0
}

describe "$persons $campaigns"
start_postgres shared_buffers=1GB max_wal_size=8GB session_preload_libraries=auto_explain auto_explain.log_nested_statements=on
large=$WORK/large
installation "$large" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "email" }, { channel = "sms", when = "not-delivered", after = "4h" }]
TOML
smtp_route "$large" 2525
printf '\n[[route]]\nname = "sms"\nchannel = "sms"\nprovider = "sandbox"\nsettings = { dir = "outbox" }\n' >>"$large/config.toml"
on_postgres "$large" large
start_sink "$WORK/sink"
sed -i "s/port = 2525/port = $sink_port/" "$large/config.toml"
python3 "$HERE/make_list.py" "$persons" >"$large/list.csv"

took "create, $persons rows" campaign create "$large/incident.toml" --by alice
printf '            %s rows/s\n' "$(calculate "round($persons / $wall)")"
id=$(field campaign <"$WORK/answer")
# Whatever is partitioned by campaign is large.
LARGE=$(ask large -c "select string_agg(relname, ' ' order by relname) from pg_class where relkind = 'p'")
check "every row is a person" test "$(field persons <"$WORK/answer")" = "$persons"
rm "$large/list.csv"
took approve campaign approve "$id" --by bob
took start campaign start "$id"
send_sample $((persons / 100))

ask large -c "alter database large set auto_explain.log_min_duration = 0"
asked status campaign status "$id"
asked list campaign list
asked show campaign show "$id"
asked "preview of one person" campaign preview "$id" --ref "$(printf 'FWB-%07d' $((persons / 2)))" --out "$WORK/preview"
asked "retry, nothing to retry" campaign retry "$id" --reason-class bad-address
took "log of the sample" campaign log "$id" --out "$WORK/log.csv"
printf '            %s attempts\n' "$(($(wc -l <"$WORK/log.csv") - 1))"
check_plans
ask large -c "alter database large reset auto_explain.log_min_duration"

printf 'bytes a person, tables and indexes of the large campaign\n'
ask large -c "select format('  %s  %s', rpad(relname, 18), round(pg_total_relation_size(oid) / $persons::numeric))
  from pg_class where relkind = 'r' and relname ~ '_1\$' order by pg_total_relation_size(oid) desc limit 5"
printf '  database            %s\n' "$(ask large -c "select round(pg_database_size('large') / $persons::numeric)")"

printf 'beside it: %s campaigns of %s persons\n' "$campaigns" "$each"
python3 "$HERE/make_list.py" "$each" >"$large/list.csv"
begin=$(date +%s%N)
for n in $(seq "$campaigns"); do
  sed "s/^id = .*/id = \"beside-$n\"/" "$large/incident.toml" >"$large/beside.toml"
  other=$(fw "$large" --json campaign create "$large/beside.toml" --by alice 2>"$WORK/err" | field campaign) || fail "$(cat "$WORK/err")"
  fw "$large" --json campaign approve "$other" --by bob >/dev/null
  fw "$large" --json campaign start "$other" >/dev/null
done
printf '            created, approved and started in %s s each\n' "$(calculate "round(($(date +%s%N) - $begin) / 1e9 / $campaigns, 2)")"
took "worker, all $campaigns at once" worker --once
printf '            %s msgs/s\n' "$(calculate "round($campaigns * $each / $wall)")"
check "all were told" test "$(satisfied "$other")" = "$each"
asked "status of one" campaign status "$other"
asked "list of all" campaign list

# What docs/scale.md says to do, with the last of them.
printf 'the last one is archived, dropped and brought back\n'
archive=$WORK/archive
mkdir "$archive"
began() { begin=$(date +%s%N); }
ended() { printf '            %s in %s s%s\n' "$1" "$(calculate "round(($(date +%s%N) - $begin) / 1e9, 2)")" "${2:-}"; }
no=$(ask large -c "select no from campaign where id = '$other'")
stands() { fw "$large" --json campaign status "$other" | python3 -c 'import json, sys
status = json.load(sys.stdin)
print({name: status[name] for name in ("state", "persons", "satisfied", "in_flight", "needs_human", "notices", "attempts")})'; }
counted=$(stands)
began
parts=()
for table in $LARGE; do parts+=(-t "${table}_$no"); done
for table in campaign:no source:campaign approval:campaign tally:campaign; do
  ask large -c "\\copy (select * from ${table%:*} where ${table#*:} = $no) to '$archive/${table%:*}.copy'"
done
{
  echo "begin; set local lock_timeout = '5s';"
  for table in $LARGE; do echo "alter table $table detach partition ${table}_$no;"; done
  echo "delete from tally where campaign = $no; delete from campaign where no = $no; commit;"
} | ask large
ended "taken out"
check "it is gone" test "$(fw "$large" campaign status "$other" 2>&1 >/dev/null | grep -c "$other")" = 1
check "the others are not" test "$(satisfied "$id")" -ge $((persons / 100))
began
pg_dump "$postgres_at/large" -Fc "${parts[@]}" -f "$archive/parts.dump"
{
  echo "begin;"
  for table in $LARGE; do echo "drop table ${table}_$no;"; done
  echo "commit;"
} | ask large
ended "archived and dropped" ", $(du -sb "$archive" | cut -f1) bytes"
began
pg_restore -d "$postgres_at/large" "$archive/parts.dump"
{
  echo "begin; set local lock_timeout = '5s';"
  for table in campaign source approval tally; do echo "\\copy $table from '$archive/$table.copy'"; done
  for table in $LARGE; do echo "alter table $table attach partition ${table}_$no for values in ($no);"; done
  echo "commit;"
} | ask large
ended "brought back"
check "its sums are the same" test "$(stands)" = "$counted"
# All books are counted anew, row by row; nothing else of what doctor looks at matters here.
doctor "$large" --json >"$WORK/doctor.json"
check "the books of all campaigns add up" python3 - "$WORK/doctor.json" $((campaigns + 1)) <<'PYTHON'
import json, sys
found = [f for f in json.load(open(sys.argv[1]))["findings"] if f["about"].startswith("campaign")]
bad = [f for f in found if f["level"] == "bad" or "add up" not in f["message"]]
sys.exit(len(found) != int(sys.argv[2]) or bool(bad))
PYTHON
conclude
