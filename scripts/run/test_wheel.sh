#!/usr/bin/env bash
# Build the wheel from the source archive, install it in an empty environment, run the three commands;
# then the runtime's, which names the same picture from an export, without TensorFlow.
extras=dev
source "$(dirname "$0")/environment.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m build --outdir "$work" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --upgrade "pip>=24"
"$work/venv/bin/python" -m pip install --quiet -c requirements.txt "$work"/tlcli-*.whl
.venv/bin/python scripts/make/runtime_wheel.py "$work"/tlcli-*.whl
.venv/bin/python -m venv "$work/light"
"$work/light/bin/python" -m pip install --quiet --upgrade "pip>=24"
"$work/light/bin/python" -m pip install --quiet -c requirements.txt "$work"/tlcli_runtime-*.whl
export_tl=$PWD/.venv/bin/tl
cd "$work"
export XDG_CACHE_HOME=$work/cache
tl=$work/venv/bin/tl
"$tl" --version
"$tl" list head >/dev/null
"$tl" train epochs=2 run_dir=run
"$tl" eval checkpoint=run
"$work/venv/bin/python" -c "
from PIL import Image
Image.new('RGB', (40, 30), 'white').save('white.png')"
"$tl" predict white.png checkpoint=run format=csv | cut -d, -f1,2 | tee expected
"$export_tl" export checkpoint=run format=litert
light=$work/light/bin/tl
"$light" predict white.png checkpoint=run/export/litert format=csv | cut -d, -f1,2 | diff expected -
if "$light" predict white.png checkpoint=run 2>error || ! grep -q "needs TensorFlow" error; then
  echo "without TensorFlow a run cannot be read, and that is to be said" >&2
  exit 1
fi
du -sh "$work/light" | cut -f1
echo "wheel: 5 passed, 0 failed"
