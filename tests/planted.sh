# Plants bugs, one at a time, and expects a test to see each: a test that cannot fail proves nothing.
#
# tests/planted/NAME.patch is a bug: lines that say what it breaks and which test must see it, then a diff.
#
#     bug: batch_log_sync writes, but does not sync
#     seen by: src/stream/batch_log_test synced_frames_survive
#     setting: long                 (optional: only with LEAT_TEST_LONG=1)
#
# It is applied to a copy of the tree, that test is built there and run, and must fail. A patch that does not apply (the
# code has moved: make it again), does not compile or is not seen is a failure. `sh tests/planted.sh NAME...` plants
# only those. The last line is `N passed, N failed`.
if ! command -v patch >/dev/null; then
    echo "skipped: patch is not installed"
    exit 0
fi
build=${LEAT_BUILD:-$PWD/build/debug}
tree=$PWD/build/planted
passed=0 failed=0

[ -e "$build/libleat.a" ] || make debug || exit 1
rm -rf "$tree"
mkdir -p "$tree/build/debug"
cp -Rp Makefile src include tests bench tools "$tree/"
[ ! -d examples ] || cp -Rp examples "$tree/"
cp -Rp "$build/obj" "$build/libleat.a" "$build/flags" "$build/members" "$tree/build/debug/"

field() { sed -n "s/^$1: //p" "$2" | head -n 1; } # name, patch

not_seen() { # patch, why
    echo "NOT SEEN $1: $2"
    [ ! -s "$tree/log" ] || tail -n 30 "$tree/log" | sed 's/^/    /'
    failed=$((failed + 1))
}

# Builds and runs the test of a patch that has been applied.
try() {
    name=$1 patch=$2
    # shellcheck disable=SC2046 # a program and the names of tests
    set -- $(field "seen by" "$patch")
    if [ $# -lt 2 ]; then
        not_seen "$name" "the patch does not name the test that must see it"
        return
    fi
    program=build/debug/tests/${1#src/}
    program=$(echo "$program" | sed 's|tests/tests/|tests/|')
    shift
    if ! make -C "$tree" BUILD=debug OUT=build/debug "$program" >"$tree/log" 2>&1; then
        not_seen "$name" "does not compile"
        return
    fi
    (cd "$tree" && LEAT_BUILD=$build env -u LEAT_TEST_LONG TEST_SEED=1 timeout -k 5 120 "$program" "$@") >"$tree/log" 2>&1 </dev/null
    code=$?
    case $code in
    0) not_seen "$name" "the test passes with it: $program $*" ;;
    124 | 137) not_seen "$name" "the test hangs with it" ;;
    *)
        echo "seen: $(field bug "$patch")"
        echo "      by $program: $(sed -n 's/^[^ :]*:[0-9]*: \([a-z_0-9]*\): .*/\1/p' "$tree/log" | sort -u | tr '\n' ' ')"
        passed=$((passed + 1))
        ;;
    esac
}

# Everything the patch and the build changed is as before, times too, so that nothing more is compiled.
restore() {
    for file in $(sed -n 's|^+++ b/||p' "$1"); do
        cp -p "$file" "$tree/$file"
        object=obj/${file%.c}.o
        [ ! -e "$build/$object" ] || cp -p "$build/$object" "$tree/build/debug/$object"
    done
    cp -p "$build/libleat.a" "$tree/build/debug/libleat.a"
    rm -rf "$tree/build/debug/tests"
}

plant() {
    name=$(basename "$1" .patch) # patch
    if ! patch -d "$tree" -p1 -s -r - --no-backup-if-mismatch <"$1" >"$tree/log" 2>&1; then
        not_seen "$name" "the patch does not apply: the code has moved"
    else
        try "$name" "$1"
    fi
    restore "$1"
}

left=0
if [ $# -gt 0 ]; then
    for name in "$@"; do plant "tests/planted/$name.patch"; done
else
    for patch in tests/planted/*.patch; do
        if [ "$(field setting "$patch")" = long ] && [ -z "$LEAT_TEST_LONG" ]; then
            left=$((left + 1))
        else
            plant "$patch"
        fi
    done
fi
echo "planted bugs caught: $passed of $((passed + failed))$([ $left = 0 ] || echo ", $left more with LEAT_TEST_LONG=1")"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
