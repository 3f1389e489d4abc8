#!/bin/sh
# Every gate that reads the code without running it. All of them run; the first failure decides.
set -u
failed=0
gate() {
    name=$1
    shift
    echo "== $name"
    "$@" || failed=1
}
c_files=$(find csrc vendor/llama.cpp/*.h vendor/llama.cpp/*.cpp -name '*.[ch]' -o -name '*.cpp' -o -name '*.hpp')
modules=$(find src/lcrt/native -name '*.pyx' -exec basename {} .pyx \; | sed 's/^/lcrt.native./')
export PYTHONPATH=src MYPYPATH=src

gate format ruff format --check .
gate lint ruff check .
gate types mypy
gate "types again" basedpyright
gate "stubs against the binary" python -m mypy.stubtest --ignore-unused-allowlist --allowlist ci/stubtest-allow.txt $modules
gate cython cython-lint src
gate "C format" clang-format --dry-run --Werror $c_files
gate layers lint-imports
gate limits python ci/check_limits.py
exit $failed
