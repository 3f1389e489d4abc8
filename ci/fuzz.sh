#!/bin/sh
# The engine under random jobs, grammars and cancels: half the time on the fake backend under ASan+UBSan, half under
# TSan, then a sixth as long on a real model. Every run begins with another seed. Usage: ci/fuzz.sh [MINUTES]
set -eu
minutes=${1:-60}
seed=$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')

# Rounds in portions, so that the time can be kept.
fake() {
    until=$(($(date +%s) + minutes * 30))
    while [ "$(date +%s)" -lt "$until" ]; do
        "build/$1/bin/test-engine-random" "$seed" 1000 >"build/$1/fuzz.log" 2>&1 || { cat "build/$1/fuzz.log"; exit 1; }
        seed=$((seed + 1000))
    done
    echo "$1: seeds to $seed, nothing wrong"
}

fake asan
fake tsan
python -m tests.native.fuzz build/models/SmolLM2-135M-Instruct.Q4_1.gguf --minutes "$((minutes / 6))"
