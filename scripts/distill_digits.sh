#!/usr/bin/env bash
# Does a teacher help a student that has few labels? For each seed: a teacher that sees all training
# digits, then a student that sees four a class, with the teacher and without. Test images of a seed
# are the same for all three, and none of them trains on these.
# Use: scripts/distill_digits.sh [FOLDER]; $TL and $PYTHON replace those of .venv.
if [ -z "${TL:-}" ]; then
  source "$(dirname "$0")/environment.sh"
  TL=.venv/bin/tl PYTHON=.venv/bin/python
fi
set -euo pipefail
out=${1:-runs/distill_digits}
for seed in 0 1 2; do
  $TL train data.classes='[0,1,2,3,4,5,6,7,8,9]' backbone.weights=none finetune=full \
    finetune.rate=1.0 optimizer.learning_rate=0.003 epochs=12 validate_every=4 \
    augmentation=light augmentation.views=4 augmentation.horizontal_flip=0 \
    seed=$seed run_dir="$out/teacher-$seed"
  $TL train config=distill_digits teacher.path="$out/teacher-$seed" control=true \
    seed=$seed run_dir="$out/student-$seed"
done
"$PYTHON" "$(dirname "$0")/distill_table.py" "$out"
