# A private Kannel: bearerbox, smsbox, and an operator (fakesmsc) that writes down every part it is given. Sourced after
# setting.sh.

readonly KANNEL_FROM="on Debian: apt-get install kannel kannel-extras (no daemon need run)"

# start_kannel FOLDER: sets sendsms_port, admin_port and the pids bearerbox_pid, smsbox_pid, operator_pid. smsbox writes
# a line into FOLDER/access.log for each text it accepts, the operator one into FOLDER/operator.log for each part.
start_kannel() {
  local dir=$1 boxes operator tries
  need bearerbox "$KANNEL_FROM"
  need smsbox "$KANNEL_FROM"
  need fakesmsc "$KANNEL_FROM"
  mkdir -p "$dir"
  admin_port=$(free_port) boxes=$(free_port) operator=$(free_port) sendsms_port=$(free_port)
  cat >"$dir/kannel.conf" <<CONF
group = core
admin-port = $admin_port
admin-interface = 127.0.0.1
admin-password = admin
status-password = status
smsbox-port = $boxes
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
box-deny-ip = "*.*.*.*"
store-type = file
store-location = "$dir/store"
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = FAKE
host = 127.0.0.1
port = $operator
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = $sendsms_port
sendsms-interface = 127.0.0.1
global-sender = 10690000
access-log = "$dir/access.log"

group = sendsms-user
username = fw
password = "trial"
max-messages = 9
concatenation = true
user-deny-ip = "*.*.*.*"
user-allow-ip = "127.0.0.1"

group = sms-service
keyword = default
text = "no service"
CONF
  bearerbox -v 4 "$dir/kannel.conf" >"$dir/bearerbox.log" 2>&1 &
  bearerbox_pid=$!
  started+=("$bearerbox_pid")
  wait_for_port "$admin_port"
  wait_for_port "$boxes"
  smsbox -v 4 "$dir/kannel.conf" >"$dir/smsbox.log" 2>&1 &
  smsbox_pid=$!
  started+=("$smsbox_pid")
  # It sends none itself, but will not start without one to send.
  fakesmsc -H 127.0.0.1 -m 0 -r "$operator" "1 2 text hello" >"$dir/operator.log" 2>&1 &
  operator_pid=$!
  started+=("$operator_pid")
  wait_for_port "$sendsms_port"
  for tries in $(seq 100); do
    if kannel_status | grep -q '(online'; then return; fi
    sleep 0.2
  done
  fail "Kannel did not become ready: $(tail -3 "$dir/bearerbox.log")"
}

kannel_status() {
  python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' "http://127.0.0.1:$admin_port/status.txt?password=status" 2>/dev/null || true
}

# settled FOLDER: waits until nothing more comes to the operator.
settled() {
  local before=-1 now
  while now=$(stat -c %s "$1/operator.log") && [ "$now" != "$before" ]; do
    before=$now
    sleep 2
  done
}

stop_kannel() {
  stop "$smsbox_pid"
  stop "$bearerbox_pid"
  stop "$operator_pid"
}
