#!/usr/bin/env bash
# What a flood for subscribers that never read does to the others: tidemq-load's well-behaved pairs at QoS 1, alone,
# beside the flood, and alone again, with the broker's resident memory at every second.
#
#   bench/flood.sh
#   SHARDS=4 BROKER_CORES=0-3 LOAD_CORES=4-7 SECONDS_EACH=30 bench/flood.sh
#   BIN=target/release bench/flood.sh     # these binaries, built before
#
# The flood itself needs nothing but bash: SLOW connections that subscribe to everything that FLOODS others publish,
# 16 KiB a message, as fast as the broker takes it. It runs on the load's cores at the lowest priority; where there are
# few cores, part of what the load waits for is the flood's own use of them, and tidemq-load says so as its lag.
set -euo pipefail
cd "$(dirname "$0")/.."

cores=$(nproc)
SHARDS=${SHARDS:-2}
BROKER_CORES=${BROKER_CORES:-0$([[ $cores -gt 2 ]] && echo "-$((cores / 2 - 1))" || true)}
LOAD_CORES=${LOAD_CORES:-$((cores > 2 ? cores / 2 : cores - 1))-$((cores - 1))}
SECONDS_EACH=${SECONDS_EACH:-10}
PAIRS=${PAIRS:-20}
RATE=${RATE:-1000}
FLOODS=${FLOODS:-4}
SLOW=${SLOW:-4}
PAYLOAD=16384

if [[ -z ${BIN:-} ]]; then
  cargo build --release --workspace --bins
  BIN=${CARGO_TARGET_DIR:-target}/release
fi

dir=$(mktemp -d)
: >"$dir/said"
started=()
stop() {
  kill "${started[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap stop EXIT

"$BIN/tidemq" serve --data "$dir/data" --listen 127.0.0.1:0 --shards "$SHARDS" --cores "$BROKER_CORES" \
  >"$dir/said" 2>"$dir/log" &
broker=$!
started+=("$broker")
until grep -q '^ready' "$dir/said"; do
  kill -0 "$broker" || { cat "$dir/log"; exit 1; }
  sleep 0.1
done
address=$(sed -n 's/^listening on tcp //p' "$dir/said")
tcp=/dev/tcp/${address%:*}/${address##*:}

rss_mib() { awk '/^VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$broker/status"; }

sample() {
  local from=$SECONDS
  while sleep 1; do printf '%4d s  %8s MiB\n' $((SECONDS - from)) "$(rss_mib)"; done
}

# One measurement: a line for the table, and memory at every second.
measure() {
  local name=$1 sampler
  sample >"$dir/rss" &
  sampler=$!
  "$BIN/tidemq-load" p2p --broker "$address" --pairs "$PAIRS" --qos 1 --rate "$RATE" --warmup 1s \
    --duration "${SECONDS_EACH}s" --cores "$LOAD_CORES" --quiet >"$dir/report" || { cat "$dir/report"; exit 1; }
  kill "$sampler"
  wait "$sampler" 2>/dev/null || true
  awk -v name="$name" '
    /^end to end  / { p50 = $5 " " $6; p99 = $9 " " $10; longest = $15 " " $16 }
    /^generator.s lag/ { lag = $8 " " $9 }
    END { printf "%-18s %10s %10s %10s %16s\n", name, p50, p99, longest, lag }' "$dir/report" >>"$dir/table"
  echo "resident memory, $name"
  cat "$dir/rss"
}

# MQTT 3.1.1 by hand. Names and topics have one digit, so that lengths are constants.
connect() { printf '\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02%s%d' "$1" "$2"; }
subscribe() { printf '\x82\x0c\x00\x01\x00\x07flood/#\x00'; }
publish() {
  local length=$((2 + 7 + PAYLOAD))
  printf "\\x30\\x$(printf %x $((length % 128 + 128)))\\x$(printf %x $((length / 128 % 128 + 128)))"
  printf "\\x$(printf %x $((length / 16384)))\\x00\\x07flood/%d" "$1"
  head -c "$PAYLOAD" /dev/zero
}

start_flood() {
  local n
  for ((n = 0; n < SLOW; n++)); do
    exec {slow}<>"$tcp"
    { connect s "$n"; subscribe; } >&"$slow"
  done
  for ((n = 0; n < FLOODS; n++)); do
    { for ((i = 0; i < 256; i++)); do publish "$n"; done; } >"$dir/lap$n"
    (
      exec 4<>"$tcp"
      connect p "$n" >&4
      exec nice -n 19 taskset -c "$LOAD_CORES" cat $(yes "$dir/lap$n" | head -n 20000) >&4
    ) 2>/dev/null &
    floods+=($!)
  done
  started+=("${floods[@]}")
}

floods=()
measure alone
start_flood
measure "beside the flood"
"$BIN/tidemq" report --data "$dir/data" >"$dir/counts"
kill "${floods[@]}"
measure "alone again"

echo
printf '%-18s %10s %10s %10s %16s\n' "$PAIRS pairs, QoS 1" p50 p99 longest "lag of the load"
cat "$dir/table"
echo
echo "counted at the end of the flood (payloads of $PAYLOAD bytes):"
grep -E '^(messages received|messages sent|deliveries dropped|bytes waiting|connections )' "$dir/counts"
