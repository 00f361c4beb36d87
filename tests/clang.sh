# Everything compiles without a warning under clang too, and the unit tests pass at -O3 without sanitizers: what only
# works by luck of one compiler or one optimisation level ends here.
clang=$(command -v clang-14 || command -v clang)
if [ -z "$clang" ]; then
    echo "skipped: clang is not installed"
    exit 0
fi
make BUILD=release OUT=build/clang CC="$clang" programs tests || exit 1
# The other builds' files live in memory where they can (check_tmpdir); these on the disk.
export TMPDIR="${TMPDIR:-/tmp}"
exec tools/run_tests $(find build/clang/tests -type f -name '*_test' | LC_ALL=C sort | while read -r program; do
    name=${program#build/clang/tests/} # a test whose source is gone may still lie there
    if [ -e "src/$name.c" ] || [ -e "tests/$name.c" ]; then echo "$program"; fi
done)
