#!/usr/bin/env bash
# One training as a SLURM job, a worker a task; the job is queued again after a loss, and before its
# time is over, and goes on from its last state. Words go to `tl train`; run_dir is
# runs/slurm/JOB unless given. Options of sbatch go before the script and win over those below.
# Use: sbatch --nodes=4 scripts/run/train_slurm.sh data=folder data.path=/shared/photos batch_size=256
# $PYTHON replaces that of .venv, which must exist (any other script makes it).
#SBATCH --job-name=tl
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=1
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
# SLURM runs a copy of this script from another folder.
cd "${SLURM_SUBMIT_DIR:?start it by sbatch, from the folder of the project}"
words=("$@")
if [[ " $* " != *" run_dir="* && " $* " != *" resume="* ]]; then
  words+=("run_dir=runs/slurm/$SLURM_JOB_ID")
fi
code=0
srun --kill-on-bad-exit=1 "${PYTHON:-.venv/bin/python}" -m tlcli.cli train "${words[@]}" \
  hardware=multi_worker || code=$?
case $code in
  75 | 76 | 137 | 143)
    # At most ten times, so that what fails at once does not for ever.
    if [ "${SLURM_RESTART_COUNT:-0}" -lt "${RESTARTS:-10}" ]; then
      echo "workers ended with $code; the job is queued again" >&2
      scontrol requeue "$SLURM_JOB_ID"
    fi
    ;;
esac
exit "$code"
