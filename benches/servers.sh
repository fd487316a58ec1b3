# Database servers of our own, on free ports of the loopback. Sourced after setting.sh.
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
# Servers keep their files where their users can reach them.
place=$(mktemp -d)
chmod 755 "$place"

at_end() {
  at_exit
  rm -rf "$place"
}
trap at_end EXIT

# Servers refuse to be root. No function: what is started in the background must be the server itself.
as_postgres=() as_mysql=()
if [ "$(id -u)" = 0 ]; then
  as_postgres=(setpriv --reuid postgres --regid postgres --init-groups)
  as_mysql=(setpriv --reuid mysql --regid mysql --init-groups)
fi

# start_postgres [NAME=VALUE…]: with these settings. Sets postgres_at, its address without a database.
start_postgres() {
  local settings=() setting
  need initdb "on Debian: apt-get install postgresql (its daemon need not run)"
  need psql "on Debian: apt-get install postgresql-client"
  for setting in "$@"; do settings+=(-c "$setting"); done
  mkdir "$place/postgres"
  [ "$(id -u)" != 0 ] || chown postgres "$place/postgres"
  cd "$place/postgres"
  "${as_postgres[@]}" initdb --no-sync --encoding=UTF8 --locale=C --auth=trust -U forewarn -D data >"$place/log"
  postgres_port=$(free_port)
  "${as_postgres[@]}" postgres -D data -p "$postgres_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    ${settings[@]+"${settings[@]}"} >>"$place/log" 2>&1 &
  postgres_pid=$!
  started+=("$postgres_pid")
  wait_for_port "$postgres_port"
  postgres_at=postgres://forewarn@127.0.0.1:$postgres_port
}

# ask DATABASE [OPTION…]: psql, tuples only, which ends at the first error.
ask() {
  local database=$1
  shift
  psql -qtAX -v ON_ERROR_STOP=1 "$postgres_at/$database" "$@"
}
