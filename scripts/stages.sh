# Sourced by the other scripts: runs named stages quietly, with the whole output in target/logs.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
TARGET=${CARGO_TARGET_DIR:-target}
LOGS=$TARGET/logs
mkdir -p "$LOGS"

STAGES=()     # "status|seconds|name"
FAILED=0

if [ -t 1 ]; then LIVE=1 BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' DIM=$'\e[2m' PLAIN=$'\e[0m'
else LIVE=  BOLD= RED= GREEN= DIM= PLAIN=; fi

say() { printf '%s\n' "$*"; }
die() {
  printf '%s%s%s\n' "$RED" "$1" "$PLAIN" >&2
  shift
  [ $# = 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
# Where Go's own archive puts it, which not every PATH knows.
have go || PATH=$PATH:/usr/local/go/bin
is_ci() { [ "${CI:-}" = true ]; }

# What everything is built with for tests and lints: Kafka over TLS, which links the system's OpenSSL.
features() {
  if have pkg-config && pkg-config --exists openssl; then say "--features=signal-worker/kafka-tls"; fi
}

# A stage that hangs is ended, with everything that it started: coreutils' timeout gives it a process group.
LIMIT=()
if have timeout; then LIMIT=(timeout --kill-after=10 2400); fi
RUNNING=()     # "pid|second of its beginning|name"
trap 'for entry in ${RUNNING[@]+"${RUNNING[@]}"}; do kill "${entry%%|*}" 2>/dev/null || true; done' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# stage NAME COMMAND...: runs it, remembers how it went, and returns its status.
stage() {
  begin "$@"
  finish "$1"
}

# begin NAME COMMAND...: the same without waiting, for what mostly waits itself. `finish NAME` looks
# at its end, and its seconds are those until then.
begin() {
  local name=$1
  shift
  [ -n "$LIVE" ] || printf '  %-22s …\n' "$name"
  ${LIMIT[@]+"${LIMIT[@]}"} "$@" >"$LOGS/${name// /-}.log" 2>&1 </dev/null &
  RUNNING+=("$!|$SECONDS|$name")
}

finish() {
  local name=$1 log=$LOGS/${1// /-}.log status=0 entry pid='' began='' others=()
  for entry in "${RUNNING[@]}"; do
    case $entry in *"|$name") IFS='|' read -r pid began _ <<<"$entry" ;; *) others+=("$entry") ;; esac
  done
  follow "$name" "$log" "$began" "$pid"
  wait "$pid" || status=$?
  RUNNING=(${others[@]+"${others[@]}"})
  [ "$status" != 124 ] || printf 'The stage took longer than %s s and was ended.\n' "${LIMIT[2]}" >>"$log"
  local took=$((SECONDS - began))
  [ -z "$LIVE" ] || printf '\r\e[K'
  if [ "$status" = 0 ]; then
    printf '  %s%-22s ok%s %5ss\n' "$GREEN" "$name" "$PLAIN" "$took"
    STAGES+=("ok|$took|$name")
  else
    printf '  %s%-22s FAILED%s after %ss; its end (all of it is in %s):\n' "$RED" "$name" "$PLAIN" "$took" "$log"
    show_failure "$log"
    STAGES+=("FAILED|$took|$name")
    FAILED=$((FAILED + 1))
  fi
  return "$status"
}

# Shows that the stage lives: a running line on a terminal, a line a minute elsewhere.
follow() {
  local name=$1 log=$2 began=$3 pid=$4 beat=60 last
  [ -z "$LIVE" ] || beat=1
  local next=$((SECONDS + beat))
  while kill -0 "$pid" 2>/dev/null; do
    if [ "$SECONDS" -ge "$next" ]; then
      next=$((SECONDS + beat))
      last=$(tail -n 1 "$log" 2>/dev/null | tr -d '\r' | cut -c -60)
      if [ -n "$LIVE" ]; then
        printf '\r\e[K  %-22s %4ss %s%s%s' "$name" $((SECONDS - began)) "$DIM" "$last" "$PLAIN"
      else
        printf '  %-22s … %ss: %s\n' "$name" $((SECONDS - began)) "$last"
      fi
    fi
    sleep 0.2
  done
}

# What cargo says of failed tests stands between "failures:" and the result; else the end.
# Backtraces stay in the log: they drown the message.
show_failure() {
  if grep -q '^failures:$' "$1"; then
    awk '/^failures:$/ { on = 1 }
         /^stack backtrace:$/ { trace = 1 }
         on && !trace { print }
         /^note: Some details are omitted/ { trace = 0 }
         /^test result:/ { on = trace = 0 }' "$1" | head -n 300 | sed 's/^/    /'
  else
    tail -n 60 "$1" | sed 's/^/    /'
  fi
}
