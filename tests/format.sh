# Every C file is as `make fmt` leaves it.
if ! command -v clang-format-14 >/dev/null; then
    echo "skipped: clang-format-14 is not installed"
    exit 0
fi
exec make fmt-check
