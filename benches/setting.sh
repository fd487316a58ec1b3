# What all trials stand on; sourced by them. Each works in a folder of its own under target/bench (on the disk that is
# measured), on free ports of the loopback, and stops what it started.
#
#   FOREWARN  the binary [target/release/forewarn]     BENCH_DIR  where to work [target/bench]
#   KEEP=1    keep the folder afterwards

set -euo pipefail
export LC_ALL=C.UTF-8
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
FOREWARN=$(realpath -m "${FOREWARN:-$ROOT/target/release/forewarn}")
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/kannel/test
TRIAL=$(basename "$0" .sh)
WORK=$(realpath -m "${BENCH_DIR:-$ROOT/target/bench}")/$TRIAL.$$
unset FOREWARN_CONFIG
started=()
mismatches=0

fail() {
  printf '%s: %s\n' "$TRIAL" "$*" >&2
  exit 1
}

# need PROGRAM WHERE-FROM
need() {
  command -v "$1" >/dev/null || fail "$1 is not there: $2"
}

# check NAME COMMAND…: says whether it holds, and goes on.
check() {
  local name=$1
  shift
  if "$@"; then
    printf '  ok        %s\n' "$name"
  else
    printf '  MISMATCH  %s\n' "$name"
    mismatches=$((mismatches + 1))
  fi
}

# The end of each trial: exit code 1 when anything did not hold.
conclude() {
  [ "$mismatches" = 0 ] || fail "$mismatches mismatches, see above"
  printf '%s: all held, %d s\n' "$TRIAL" "$SECONDS"
}

stop() {
  local pid
  for pid in "$@"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}

at_exit() {
  stop ${started[@]+"${started[@]}"}
  [ -n "${KEEP:-}" ] || rm -rf "$WORK"
}
trap at_exit EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for_port PORT: until somebody listens there.
wait_for_port() {
  local tries
  for tries in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    sleep 0.1
  done
  fail "nobody listens on port $1"
}

describe() {
  need python3 "install Python 3.8 or later"
  [ -x "$FOREWARN" ] || fail "$FOREWARN is not there: cargo build --release, or name a binary in FOREWARN"
  mkdir -p "$WORK"
  chmod 755 "$WORK"
  printf '== %s\n' "$TRIAL"
  printf 'command     %s\n' "$("$FOREWARN" --version), $(realpath --relative-to="$ROOT" "$0") $*"
  printf 'machine     %s; %s cores; %s MB memory; Linux %s; %s\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" \
    "$(awk '/^MemTotal/ { print int($2 / 1000) }' /proc/meminfo)" "$(uname -r)" "$(stat -f -c %T "$WORK")"
  if [ "${ENGINE:-sqlite}" = sqlite ]; then
    printf 'durability  SQLite, WAL, synchronous=FULL (the only setting there is)\n'
  else
    printf 'durability  PostgreSQL, fsync=on, synchronous_commit=on (the only setting there is), on %s\n' "$(stat -f -c %T "$place")"
  fi
  printf 'load before %s; %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
}

# installation DIR: configuration without routes, key, and an incident file over DIR/list.csv. The incident is that of
# examples/, in seven languages. The campaign part is read from stdin.
installation() {
  local dir=$1
  mkdir -p "$dir"
  "$FOREWARN" init --dir "$dir" 2>/dev/null >/dev/null
  sed -i '/^\[\[route\]\]/,$d' "$dir/config.toml"
  { sed '/^\[campaign\]/,$d' "$ROOT/examples/incident.toml" && cat && printf '\n[[source]]\nfile = "list.csv"\n'; } >"$dir/incident.toml"
}

# fw DIR ARGUMENTS…: forewarn in that installation.
fw() {
  local dir=$1
  shift
  "$FOREWARN" --config "$dir/config.toml" "$@"
}

# doctor DIR [OPTION…]: what it finds. Having found something (3) is an answer, anything else is none.
doctor() {
  local dir=$1 code=0
  shift
  fw "$dir" "$@" doctor || code=$?
  [ "$code" = 0 ] || [ "$code" = 3 ] || fail "doctor ended with $code"
}

# approved_campaign DIR: makes and approves it; prints its id.
approved_campaign() {
  local id
  id=$(fw "$1" --json campaign create "$1/incident.toml" --by alice 2>"$1/create.err" | field campaign) ||
    fail "campaign create: $(cat "$1/create.err")"
  fw "$1" --json campaign approve "$id" --by bob >/dev/null
  printf '%s\n' "$id"
}

# field NAME…: of the JSON object on stdin.
field() {
  python3 -c 'import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1:]: value = value[name]
print(value)' "$@"
}

median() {
  python3 -c 'import statistics, sys; print(round(statistics.median(map(float, sys.argv[1:])), 3))' "$@"
}

# calculate EXPRESSION: in Python.
calculate() {
  python3 -c "print($1)"
}

# start_sink FOLDER [OPTION…]: smtp-sink that counts into FOLDER/counts. Sets sink_port and sink_pid.
start_sink() {
  local dir=$1 as=()
  shift
  need smtp-sink "on Debian: apt-get install postfix (its daemon need not run)"
  mkdir -p "$dir"
  # It refuses to serve as root, and whom it becomes must be able to write there.
  if [ "$(id -u)" = 0 ]; then
    chmod 777 "$dir"
    as=(-u nobody)
  fi
  sink_port=$(free_port)
  smtp-sink ${as[@]+"${as[@]}"} -c "$@" "127.0.0.1:$sink_port" 256 >"$dir/counts" 2>&1 &
  sink_pid=$!
  started+=("$sink_pid")
  wait_for_port "$sink_port"
}

# sink_count FOLDER: the messages that it took.
sink_count() {
  tr '\r' '\n' <"$1/counts" | sed -n 's/.*mesg=\([0-9]*\).*/\1/p' | tail -1 | grep . || echo 0
}

# smtp_route DIR PORT: email goes there.
smtp_route() {
  cat >>"$1/config.toml" <<TOML

[[route]]
name = "relay"
channel = "email"
provider = "smtp"
${3:-}
settings = { host = "127.0.0.1", port = $2, tls = "none" }
TOML
}
