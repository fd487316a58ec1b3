#!/usr/bin/env bash
# A burst of delivery reports at a running `forewarn serve`: 10,000 of them, then 100,000, in any order, every one signed
# and verified, one in ten twice, one in twenty about a notice whose attempt has not ended. Timed from the first post to
# the last answer, and to the last report applied. Then every event must be in the log once, with the state it leads to,
# and the largest memory must not grow with the burst.
#
#   benches/webhooks.sh [REPORTS [BATCH]]     100000 reports, 1 in a post
#
# The route is `webhook` with its Standard Webhooks signature; the provider is `examples/report_burst.rs`, which shares
# the machine.
#
#   ENGINE=postgres  on a PostgreSQL of our own instead of SQLite
#   REPORT_BURST     the built example [target/release/examples/report_burst]: cargo build --release --example report_burst
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
source "$HERE/servers.sh"
reports=${1:-100000} batch=${2:-1}
ENGINE=${ENGINE:-sqlite}
REPORT_BURST=${REPORT_BURST:-$ROOT/target/release/examples/report_burst}
LEAST=3000       # reports applied a second
MOST_GROWTH=16   # MB, of the peak, from a tenth of the burst to all of it
[ -x "$REPORT_BURST" ] || fail "$REPORT_BURST is not there: cargo build --release --example report_burst"
[ "$ENGINE" = sqlite ] || start_postgres
cd "$ROOT"

describe "$reports $batch"

# burst REPORTS: a campaign of as many persons, its serve, and the burst. Sets figures, the file.
burst() {
  local reports=$1 settled=$(($1 * 95 / 100)) dir=$WORK/$1 id listen port secret serve
  figures=$dir/figures.json
  printf '%s reports, %s in a post\n' "$reports" "$batch"
  installation "$dir" <<'TOML'
[campaign]
kind = "initial"
templates = "breach-notice"
default_locale = "en"
ladder = [{ channel = "sms" }]
TOML
  python3 "$HERE/make_list.py" "$reports" --contacts phone >"$dir/list.csv"
  if [ "$ENGINE" = postgres ]; then
    ask postgres -c "create database burst_$reports"
    (umask 077 && printf '%s\n' "$postgres_at/burst_$reports" >"$dir/database")
    sed -i 's#^url = .*#url = "file:database"#' "$dir/config.toml"
  fi
  listen=$(free_port) port=$(free_port)
  sed -i '/^\[server\]/,/^$/d' "$dir/config.toml"
  secret=whsec_$(head -c 24 /dev/urandom | base64)
  (umask 077 && printf '%s\n' "$secret" >"$dir/hook_secret")
  cat >>"$dir/config.toml" <<TOML

[server]
listen = "127.0.0.1:$listen"
public_url = "http://127.0.0.1:$listen"

[[route]]
name = "bridge"
channel = "sms"
provider = "webhook"
concurrency = 64
settings = { base_url = "http://127.0.0.1:$port/", receipts = true, hook_secret = "file:hook_secret" }
TOML
  id=$(approved_campaign "$dir")
  "$FOREWARN" --config "$dir/config.toml" serve >/dev/null 2>"$dir/serve.err" &
  serve=$!
  started+=("$serve")
  wait_for_port "$listen"
  sync
  "$REPORT_BURST" "$port" "http://127.0.0.1:$listen" "$serve" "$secret" "$settled" "$reports" "$batch" "$dir/posted.jsonl" >"$figures" 2>"$dir/burst.err" &
  local provider=$!
  started+=("$provider")
  wait_for_port "$port"
  fw "$dir" campaign start "$id" >/dev/null 2>&1
  wait "$provider" || fail "the burst: $(cat "$dir/burst.err")"
  stop "$serve"
  fw "$dir" --json campaign status "$id" >"$dir/status.json"
  fw "$dir" campaign log "$id" --format jsonl --out "$dir/log.jsonl" >/dev/null 2>&1
  doctor "$dir" --json >"$dir/doctor.json" 2>/dev/null
  printf '  answered    %.0f a second, the last after %.1f s; told to come again: %s\n' \
    "$(field answered_per_s <"$figures")" "$(field answered_s <"$figures")" "$(field told_to_come_again <"$figures")"
  printf '  applied     %.0f a second, the last after %.1f s; %.0f µs of CPU a report; peak %.0f MB\n' \
    "$(field applied_per_s <"$figures")" "$(field applied_s <"$figures")" "$(field cpu_us_per_report <"$figures")" \
    "$(field peak_rss_mb <"$figures")"
  check "every event counted once" python3 "$HERE/check_reports.py" "$dir/posted.jsonl" "$dir/log.jsonl" "$dir/status.json" "$dir/doctor.json"
}

burst $((reports / 10))
few=$(field peak_rss_mb <"$figures")
burst "$reports"
check "at least $LEAST applied a second" test "$(calculate "int($(field applied_per_s <"$figures") >= $LEAST)")" = 1
check "at most $MOST_GROWTH MB more than for a tenth" test "$(calculate "int($(field peak_rss_mb <"$figures") - $few <= $MOST_GROWTH)")" = 1
conclude
