#!/usr/bin/env bash
# Build the wheel from the source archive, install it in an empty environment, run the three commands.
extras=dev
source "$(dirname "$0")/environment.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m build --outdir "$work" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --upgrade "pip>=24"
"$work/venv/bin/python" -m pip install --quiet -c requirements.txt "$work"/*.whl
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
"$tl" predict white.png checkpoint=run format=json
echo "wheel: 3 passed, 0 failed"
