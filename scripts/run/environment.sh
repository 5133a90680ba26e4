# Sourced by the other scripts: makes .venv with the package and the extras in $extras, once.
# Python: the one in $PYTHON, else the first of 3.10-3.13 on the PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
extras=${extras:-}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 python; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
        2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "tl needs Python 3.10 to 3.13 with the venv module; set PYTHON to one." >&2
  exit 1
}

stamp=.venv/.installed${extras:+-$extras}
wanted=$(cat pyproject.toml requirements.txt | cksum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  [ -x .venv/bin/python ] || "$(find_python)" -m venv .venv
  .venv/bin/python -m pip install --quiet --upgrade "pip>=24"
  .venv/bin/python -m pip install --quiet -c requirements.txt -e ".${extras:+[$extras]}"
  echo "$wanted" >"$stamp"
fi
# TensorFlow starts three times faster from compiled files, wherever they may be written.
export PYTHONPYCACHEPREFIX=${PYTHONPYCACHEPREFIX:-$PWD/.pycache}
unset PYTHONDONTWRITEBYTECODE
