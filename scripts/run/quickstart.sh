#!/usr/bin/env bash
# From nothing to a trained, measured model on embedded digits; arguments go to `tl train`.
source "$(dirname "$0")/environment.sh"
.venv/bin/tl train config=quickstart "$@"
echo "           (in a new shell, once: source .venv/bin/activate)"
