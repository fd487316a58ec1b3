#!/usr/bin/env bash
# Customer lists that come from a database: `check` of a query, on PostgreSQL and MariaDB of our own. Memory must not
# grow with the list.
#
#   benches/sources.sh [ROWS]     1000000 rows, and a tenth of them to compare the memory with
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
source "$HERE/servers.sh"
rows=${1:-1000000}
few=$((rows / 10))
fill_postgres() {
  ask postgres <<SQL
create table client ($(columns text), place bigserial);
\copy client ($(columns)) from '$WORK/list.csv' with (format csv, header true, force_not_null ($(columns)))
create index on client (place);
analyze client;
SQL
}

start_mariadb() {
  need mariadb-install-db "on Debian: apt-get install mariadb-server (its daemon need not run)"
  mkdir "$place/mariadb"
  [ "$(id -u)" != 0 ] || chown mysql "$place/mariadb"
  "${as_mysql[@]}" mariadb-install-db --no-defaults --datadir="$place/mariadb/data" --skip-test-db >>"$place/log" 2>&1
  cat >"$place/init.sql" <<'SQL'
create user 'forewarn'@'%';
grant all on *.* to 'forewarn'@'%';
create database crm character set utf8mb4;
SQL
  mariadb_port=$(free_port)
  "${as_mysql[@]}" mariadbd --no-defaults --datadir="$place/mariadb/data" --bind-address=127.0.0.1 --port="$mariadb_port" \
    --socket="$place/mariadb/socket" --pid-file="$place/mariadb/pid" --init-file="$place/init.sql" --skip-log-bin \
    --skip-name-resolve --local-infile=1 --innodb-flush-log-at-trx-commit=0 >>"$place/log" 2>&1 &
  started+=("$!")
  wait_for_port "$mariadb_port"
  mariadb_url=mysql://forewarn@127.0.0.1:$mariadb_port/crm
  mariadb --no-defaults --local-infile=1 -h 127.0.0.1 -P "$mariadb_port" -u forewarn crm <<SQL
create table client ($(columns "varchar(255)"), place bigint auto_increment primary key) character set utf8mb4;
load data local infile '$WORK/list.csv' into table client character set utf8mb4 fields terminated by ','
  optionally enclosed by '"' ignore 1 lines ($(columns));
SQL
}

# columns [TYPE]: those of the list, as names that need no quotes.
columns() {
  head -1 "$WORK/list.csv" | tr -d '\r' | tr ',' '\n' | tr 'A-Z -' 'a-z__' | tr -d '."' | sed "s/\$/ ${1:-}/" | paste -sd, -
}

# checked NAME URL ROWS: takes the first rows in on trial. Sets wall, peak.
checked() {
  local name=$1 url=$2 count=$3 dir=$WORK/$1.$3
  installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "email" }, { channel = "sms", when = "not-delivered", after = "4h" }]
TOML
  smtp_route "$dir" 2525
  printf '\n[[route]]\nname = "sms"\nchannel = "sms"\nprovider = "sandbox"\nsettings = { dir = "outbox" }\n' >>"$dir/config.toml"
  sed -i '/^\[\[source\]\]/,$d' "$dir/incident.toml"
  printf '[[source]]\ndatabase = "%s"\nquery = "select %s from client order by place limit %s"\n' "$url" "$(columns)" "$count" \
    >>"$dir/incident.toml"
  python3 "$HERE/measure.py" "$WORK/took.json" "$FOREWARN" --config "$dir/config.toml" --json check "$dir/incident.toml" \
    >"$WORK/checked.json" 2>"$WORK/check.err" || fail "$(cat "$WORK/check.err")"
  wall=$(field wall_s <"$WORK/took.json") peak=$(field peak_rss_mb <"$WORK/took.json")
  printf '%-11s %s rows: %s rows/s, %s s, %s s of CPU, peak %s MB\n' "$name" "$count" \
    "$(calculate "round($count / $wall)")" "$wall" "$(field cpu_s <"$WORK/took.json")" "$peak"
  check "every row is a person" test "$(field rows <"$WORK/checked.json") $(field persons <"$WORK/checked.json")" = "$count $count"
}

describe "$rows"
python3 "$HERE/make_list.py" "$rows" >"$WORK/list.csv"
printf 'list        %s rows, %s bytes as CSV, email and telephone each\n' "$rows" "$(stat -c %s "$WORK/list.csv")"
start_postgres fsync=off
fill_postgres
start_mariadb
for server in postgres mariadb; do
  if [ $server = postgres ]; then url=$postgres_at/postgres; else url=$mariadb_url; fi
  checked "$server" "$url" "$few"
  before=$peak
  checked "$server" "$url" "$rows"
  check "the memory is the same for ten times the rows ($before MB, $peak MB)" test "$(calculate "int($peak <= $before * 1.1)")" = 1
done
conclude
