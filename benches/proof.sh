#!/usr/bin/env bash
# What proofs cost: a campaign by email to smtp-sink, then its closing, the bundle of a person, the bundle of the campaign
# and the verdict on it; first with a tenth of the persons, to see that memory does not grow with them.
#
#   benches/proof.sh [PERSONS]     1000000 persons
#
# ENGINE=postgres keeps everything in a PostgreSQL of our own instead of SQLite.
source "$(dirname "${BASH_SOURCE[0]}")/setting.sh"
[ "${ENGINE:-sqlite}" = sqlite ] || source "$HERE/servers.sh"
source "$HERE/email_run.sh"
persons=${1:-1000000}
MOST_PERSON=0.150     # seconds for the bundle of a person
MOST_CAMPAIGN=90      # seconds for the bundle of a campaign of a million
MOST_VERIFY=3         # seconds for a million facts
MOST_GROWTH=16        # MB of the peak, from a tenth of the persons to all of them

describe "$persons"
[ "${ENGINE:-sqlite}" = sqlite ] || start_postgres shared_buffers=512MB max_wal_size=4GB

# measured DIR COMMAND…: sets wall, cpu and peak of forewarn in that installation.
measured() {
  local dir=$1
  shift
  python3 "$HERE/measure.py" "$dir/measured.json" "$FOREWARN" --config "$dir/config.toml" --json "$@" >"$dir/said.json" ||
    fail "$* failed: $(cat "$dir/said.json")"
  wall=$(field wall_s <"$dir/measured.json") cpu=$(field cpu_s <"$dir/measured.json")
  peak=$(field peak_rss_mb <"$dir/measured.json")
}

# proofs PERSONS: a campaign of as many, and what its proofs cost. Sets peak_campaign.
proofs() {
  local persons=$1 facts dir walls=()
  rm -rf "$WORK/sample" "$WORK/approved"
  prepare_ours "$persons"
  printf '%s persons\n' "$persons"
  ours "$persons"
  dir=$WORK/ours
  measured "$dir" proof close "$id"
  printf '  close         %s s, %s s of CPU, peak %s MB\n' "$wall" "$cpu" "$peak"
  for n in 1 2 3 4 5; do
    measured "$dir" proof person "$id" "$(sed -n "$((n * persons / 6 + 2))p" "$dir/list.csv" | cut -d, -f1)" --out "$dir/$n.zip"
    walls+=("$wall")
  done
  printf '  person        %s s (median of 5), peak %s MB\n' "$(median "${walls[@]}")" "$peak"
  check "a person's bundle in $MOST_PERSON s" python3 -c "exit($(median "${walls[@]}") > $MOST_PERSON)"
  measured "$dir" proof campaign "$id" --out "$dir/campaign.zip"
  printf '  campaign      %s s, %s s of CPU, peak %s MB, %s MB of zip\n' "$wall" "$cpu" "$peak" \
    "$(calculate "$(stat -c %s "$dir/campaign.zip") // 10**6")"
  peak_campaign=$peak wall_campaign=$wall
  check "it knows all $persons persons" [ "$(field summary persons <"$dir/said.json")" = "$persons" ]
  check "and that all were satisfied" [ "$(field summary closing persons satisfied <"$dir/said.json")" = "$persons" ]
  measured "$dir" proof verify "$dir/campaign.zip"
  facts=$(field log size <"$dir/said.json")
  printf '  verify        %s s, %s s of CPU, peak %s MB, for %s facts\n' "$wall" "$cpu" "$peak" "$facts"
  wall_million=$(calculate "round($wall * 10**6 / $facts, 2)")
}

proofs "$((persons / 10))"
tenth=$peak_campaign
proofs "$persons"
check "the campaign's bundle in $MOST_CAMPAIGN s a million" python3 -c "exit($wall_campaign * 10**6 / $persons > $MOST_CAMPAIGN)"
check "at most $MOST_GROWTH MB more than for a tenth" python3 -c "exit($peak_campaign - $tenth > $MOST_GROWTH)"
printf 'a million facts are verified in %s s\n' "$wall_million"
check "a million facts are verified in $MOST_VERIFY s" python3 -c "exit($wall_million > $MOST_VERIFY)"
conclude
