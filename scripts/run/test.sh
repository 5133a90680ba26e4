#!/usr/bin/env bash
# The test suite in its own environment, two files at a time; arguments go to pytest. Without any the
# slow tests are left out: they have a second call, `scripts/run/test.sh -m slow`.
extras=dev
source "$(dirname "$0")/environment.sh"
if [ $# -eq 0 ]; then set -- -m "not slow"; fi
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
