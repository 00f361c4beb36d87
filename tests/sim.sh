# The simulation over fixed seeds: a few with sanitizers, more without; LEAT_TEST_LONG=1: 300 and 3000.
# `make sim SEED=n COUNT=k` for others; tests/sim/sim.c tells what it does.
if [ "$LEAT_TEST_LONG" = 1 ]; then few=300 many=3000; else few=15 many=120; fi
passed=0 failed=0
for run in "debug 1 $few" "release 1001 $many"; do
    # shellcheck disable=SC2086 # three words
    set -- $run
    if make BUILD="$1" OUT="build/$1" "build/$1/tests/sim" && "build/$1/tests/sim" "$2" "$3"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
