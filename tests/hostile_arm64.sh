# Leat builds for arm64, where every kernel is the plain one, and what depends on the machine's word gives the same there. Needs
# gcc-aarch64-linux-gnu, and qemu-user to run what was built; `./dev` installs neither.
compiler=aarch64-linux-gnu-gcc
if ! command -v $compiler >/dev/null; then
    echo "skipped: $compiler is not installed"
    exit 0
fi
make BUILD=release OUT=build/arm64 CC=$compiler CFLAGS="-idirafter /usr/include" programs tests || exit 1
if ! command -v qemu-aarch64 >/dev/null; then
    echo "skipped: qemu-aarch64 is not installed; built, not run"
    exit 0
fi
passed=0 failed=0
for test in base/bytes column/kernels/kernels column/codec state/key_table state/store exec/engine stream/frames stream/driver; do
    if LEAT_TEST_SHORT=1 qemu-aarch64 -L /usr/aarch64-linux-gnu build/arm64/tests/${test}_test; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "repeat: qemu-aarch64 -L /usr/aarch64-linux-gnu build/arm64/tests/${test}_test"
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
