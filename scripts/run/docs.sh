#!/usr/bin/env bash
# Builds the pages of docs/ into site/, with every link checked; `serve` as argument shows them at
# http://127.0.0.1:8000 and follows changes.
extras=docs
export NO_MKDOCS_2_WARNING=1
source "$(dirname "$0")/environment.sh"
exec .venv/bin/mkdocs "${1:-build}"
