#!/bin/sh
# The C core, its fake backend and their tests under sanitizers; no llama.cpp.
set -eu
for sanitizer in address thread; do
    folder=build/$(test $sanitizer = address && echo asan || echo tsan)
    cmake -G Ninja --log-level=ERROR -S . -B "$folder" -DLCRT_SANITIZE=$sanitizer
    ninja -C "$folder"
    ctest --test-dir "$folder" --output-on-failure
done
