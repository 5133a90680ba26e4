#!/usr/bin/env bash
# One training on all GPUs of this machine, a process each, started again together after a loss.
# Arguments go to `tl train`. $WORKERS sets the number of processes, $RESTARTS (3) how often they may
# be started again. $PYTHON replaces that of .venv.
# Use: scripts/run/train_multi_gpu.sh data=folder data.path=photos backbone=resnet50 batch_size=256
if [ -z "${PYTHON:-}" ]; then
  source "$(dirname "$0")/environment.sh"
  PYTHON=.venv/bin/python
fi
set -euo pipefail
workers=${WORKERS:-$(nvidia-smi --list-gpus 2>/dev/null | grep -c '^GPU' || true)}
if [ "$workers" -lt 2 ]; then
  echo "there are no two GPUs here: one process trains" >&2
  exec "$PYTHON" -m tlcli.cli train "$@"
fi
exec "$PYTHON" -m tlcli.cli launch "$workers" "restarts=${RESTARTS:-3}" -- train "$@"
