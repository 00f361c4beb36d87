# Every fuzz target over its corpus and 2 s beyond it, 60 s with LEAT_TEST_LONG=1. One that fails leaves its input in
# build/fuzz/.
clang=$(command -v clang-14 || command -v clang)
probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
if [ -z "$clang" ] || ! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
    "$clang" -fsanitize=fuzzer -xc - -o "$probe" 2>/dev/null; then
    echo "skipped: clang with its fuzzer (libclang-rt-14-dev) is not installed"
    exit 0
fi
passed=0 failed=0
for source in tests/fuzz/*.c; do
    [ -e "$source" ] || continue
    name=$(basename "$source" .c)
    if make fuzz T="$name" SECONDS_MAX="$([ "$LEAT_TEST_LONG" = 1 ] && echo 60 || echo 2)"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "repeat: make fuzz T=$name"
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
