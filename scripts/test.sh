#!/usr/bin/env bash
# The test suite in its own environment; arguments go to pytest.
extras=dev
source "$(dirname "$0")/environment.sh"
exec .venv/bin/python -m pytest "$@"
