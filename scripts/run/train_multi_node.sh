#!/usr/bin/env bash
# One training on several machines by ssh, a worker each: HOST[,HOST...], then the words of
# `tl train`, a run_dir among them. A host that is named twice gets two workers, each with a GPU of
# its own. This folder, the data and run_dir lie at the same paths on all machines.
# Ctrl-C or SIGTERM stops all with their state saved (exit 76); after a loss all start again.
# Use: scripts/run/train_multi_node.sh node1,node2 data=folder data.path=/shared/photos run_dir=/shared/run
# $PORT (29500) is the first port; $RESTARTS (3) how often all may start again; $PYTHON that of all
# machines (.venv/bin/python of this folder).
set -euo pipefail
if [ $# -lt 2 ] || [[ $1 == *=* ]] || [[ " $* " != *" run_dir="* && " $* " != *" resume="* ]]; then
  sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
folder=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$folder/.venv/bin/python}
IFS=, read -r -a hosts <<<"$1"
shift
left=${RESTARTS:-3}
first=${PORT:-29500}
job=tl-$$-$(date +%s)
stopped=

workers=
for rank in "${!hosts[@]}"; do
  workers+=${workers:+,}${hosts[rank]#*@}:$((first + rank))
done

local_rank() { # Number of a worker among those of its host, or nothing where each host has one.
  local rank=$1 other before=0 all=0
  for other in "${!hosts[@]}"; do
    if [ "${hosts[other]}" = "${hosts[rank]}" ]; then
      all=$((all + 1))
      [ "$other" -lt "$rank" ] && before=$((before + 1))
    fi
  done
  if [ "$all" -gt 1 ]; then echo "$before"; fi
}

start() { # One worker on its host; its lines carry its number.
  local rank=$1 near words
  shift
  near=$(local_rank "$rank")
  words=$(printf '%q ' "$python" -m tlcli.cli train "$@" hardware=multi_worker \
    "hardware.workers=[$workers]" "hardware.rank=$rank")
  ssh -o BatchMode=yes "${hosts[rank]}" "cd $(printf %q "$folder") && echo \$\$ >/tmp/$job-$rank &&
    ${near:+LOCAL_RANK=$near }exec $words" 2>&1 </dev/null | sed -u "s/^/[$rank] /"
}

signal_all() { # Ask the workers themselves: ssh passes no signal on.
  stopped=1
  local rank
  for rank in "${!hosts[@]}"; do
    ssh -o BatchMode=yes "${hosts[rank]}" "kill -s $1 \$(cat /tmp/$job-$rank)" </dev/null || true
  done
}
trap 'signal_all INT' INT
trap 'signal_all TERM' TERM

while :; do
  pids=()
  for rank in "${!hosts[@]}"; do
    start "$rank" "$@" &
    pids+=($!)
  done
  codes=()
  for pid in "${pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    # A signal that is passed on ends a wait early.
    while kill -0 "$pid" 2>/dev/null; do
      code=0
      wait "$pid" || code=$?
    done
    codes+=("$code")
  done
  worst=0
  for code in "${codes[@]}"; do
    case $code in
      0) ;;
      75 | 137 | 143 | 255) [ "$worst" -ne 0 ] || worst=75 ;;
      *) worst=$code ;;
    esac
  done
  if [ "$worst" -ne 75 ] || [ "$left" -eq 0 ] || [ -n "$stopped" ]; then
    break
  fi
  left=$((left - 1))
  echo "workers ended with ${codes[*]}; starting all again, $left of such left" >&2
done
for rank in "${!hosts[@]}"; do
  ssh -o BatchMode=yes "${hosts[rank]}" "rm -f /tmp/$job-$rank" </dev/null || true
done
exit "$worst"
