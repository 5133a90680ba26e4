#!/usr/bin/env bash
# Does a teacher help a student that has few labels? For each seed: a teacher that sees all training
# digits, then a student that sees four a class, with the teacher and without. Test images of a seed
# are the same for all three, and none of them trains on these.
# Use: scripts/tables/distill_digits.sh [FOLDER [WORD ...]]; words go to distill.py, as --seeds 5 6.
# $PYTHON replaces that of .venv.
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${PYTHON:-}" ]; then
  source "$here/../run/environment.sh"
  PYTHON=.venv/bin/python
fi
set -euo pipefail
out=${1:-runs/distill_digits}
teacher="data.classes=[0,1,2,3,4,5,6,7,8,9] backbone.weights=none finetune=full finetune.rate=1.0
  optimizer.learning_rate=0.005 epochs=8 validate_every=8 save_every=off
  augmentation=light augmentation.views=2 augmentation.horizontal_flip=0"
"$PYTHON" "$here/distill.py" "$out" \
  --teacher "$teacher" --student "config=distill_digits save_every=off" "${@:2}"
