#!/bin/sh
# Register the small model and let it answer: ci/demo.sh NAME PROMPT. Uses a daemon that is there, else one of its own.
set -eu
python ci/models.py
if ! lcrt list >/dev/null 2>&1; then
    lcrt serve >build/demo.log 2>&1 &
    daemon=$!
    trap 'kill $daemon 2>/dev/null; wait $daemon 2>/dev/null || true' EXIT
    until lcrt list >/dev/null 2>&1; do
        kill -0 $daemon 2>/dev/null || { cat build/demo.log >&2; exit 1; }
        sleep 0.1
    done
fi
lcrt create "$1" -f build/models/Modelfile
lcrt run "$1" "$2"
