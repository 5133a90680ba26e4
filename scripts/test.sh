#!/usr/bin/env bash
# The test suite in its own environment; arguments go to pytest.
source "$(dirname "$0")/environment.sh" dev
exec .venv/bin/python -m pytest "$@"
