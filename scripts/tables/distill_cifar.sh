#!/usr/bin/env bash
# What does a teacher add to a small network that starts at random? For each seed: MobileNet 1.0 with
# published weights, cut after block 12, is fine-tuned on a folder of images at 96 px; MobileNet 0.25
# without weights then learns from it, and from the labels alone at equal length.
# Use: scripts/tables/distill_cifar.sh IMAGES WEIGHTS.h5 [FOLDER [WORD ...]]; IMAGES holds a folder a class,
# in train/ and test/ if you like; words go to distill.py, as --seeds 0. $EPOCHS is the
# student's length (30), $TEACHER_EPOCHS the teacher's (4). $PYTHON replaces that of .venv.
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${PYTHON:-}" ]; then
  source "$here/../run/environment.sh"
  PYTHON=.venv/bin/python
fi
set -euo pipefail
images=$(realpath "${1:?give the folder of images}") weights=$(realpath "${2:?give the weights}")
out=${3:-runs/distill_cifar}
shared="data=folder data.path='$images' backbone=mobilenet image_size=96 save_every=off"
teacher="$shared backbone.weights='$weights' backbone.output_layer=conv_pw_12_relu
  epochs=${TEACHER_EPOCHS:-4}"
student="$shared backbone.alpha=0.25 backbone.weights=none finetune=full finetune.rate=1.0
  optimizer.learning_rate=0.003 distillation=kd augmentation=light augmentation.views=4
  epochs=${EPOCHS:-30} validate_every=5"
"$PYTHON" "$here/distill.py" "$out" \
  --teacher "$teacher" --student "$student" "${@:4}"
