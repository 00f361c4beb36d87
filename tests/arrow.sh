# The Arrow C data interface against pyarrow, where it is installed: PYTHON=path/to/python3 names another Python.
python=${PYTHON:-python3}
if ! "$python" -c 'import pyarrow' 2>/dev/null; then
    echo "skipped: $python has no pyarrow (python3 -m venv V && V/bin/pip install pyarrow; PYTHON=V/bin/python3)"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -e build/release/libleat.a ] || make release || exit 1
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -fPIC -shared -Isrc -Iinclude tests/arrow/bridge.c build/release/libleat.a \
    -pthread -lm -o "$work/libbridge.so" || exit 1
"$python" tests/arrow/check.py "$work/libbridge.so"
