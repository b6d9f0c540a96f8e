#!/usr/bin/env bash
# Types and tests of the Python package: bash clients/python/check.sh PROGRAM
# The libraries go into KONSIL_VENV (target/python unless given); without them the rest is tested.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${KONSIL_VENV:-$root/target/python}
python=${PYTHON:-python3}

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
    echo "name the program to test with: bash clients/python/check.sh PROGRAM" >&2
    exit 2
fi
KONSIL_PROGRAM=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
export KONSIL_PROGRAM

# The package is copied first: a build leaves folders beside its sources.
install() {
    local copy=$venv/package
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || return 1
    rm -rf "$copy" && mkdir -p "$copy" || return 1
    cp -r "$here/konsil" "$here/pyproject.toml" "$here/README.md" "$copy" || return 1
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --timeout 15 --retries 1 \
        --force-reinstall --no-deps "$copy" || return 1
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --timeout 15 --retries 1 \
        "$copy[all]" nbclient nbformat ipykernel mypy
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if install >"$log" 2>&1; then
    python=$venv/bin/python
    echo "installed with extras: $(cd / && "$python" -c 'import konsil; print("konsil", konsil.__version__)')"
    (cd "$here" && "$python" -m mypy --cache-dir "$venv/mypy")
else
    echo "libraries cannot be installed here, so types are not checked and the plain interpreter tests:"
    tail -n 3 "$log" | sed 's/^/  /'
fi

# The tests' lab, notebooks and konsil ui end with the tests, whatever their outcome (tests/lab.py).
cd "$here"
failed=0
PYTHONDONTWRITEBYTECODE=1 "$python" -m unittest -v >"$log" 2>&1 || failed=$?
grep -E "skipped '" "$log" | sed 's/^/skipped: /' || true
if [ "$failed" -ne 0 ]; then
    sed -n '/^=====/,$p' "$log"
    # an error before any test ran has no such line
    grep -q '^=====' "$log" || cat "$log"
    exit "$failed"
fi
tail -n 3 "$log" | tr '\n' ' '
echo
