#!/usr/bin/env bash
# Does a teacher help a student that has few labels? Teacher, student and control of five seeds, and
# the mean of the paired gains.
# Use: scripts/tables/distill_digits.sh [FOLDER [WORD ...]]; words go to tl train, as seed=5,6.
# $PYTHON replaces that of .venv.
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${PYTHON:-}" ]; then
  source "$here/../run/environment.sh"
  PYTHON=.venv/bin/python
fi
set -euo pipefail
"$PYTHON" -m tlcli.cli train -m config=distill_digits seed=0,1,2,3,4 save_every=off \
  hydra.sweep.dir="${1:-runs/distill_digits}" "${@:2}"
