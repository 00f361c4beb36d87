# What `leat checkpoint` and `leat state` say of a directory that a real program wrote; and of what is none.
directory=$(mktemp -d) passed=0 failed=0
trap 'rm -rf "$directory"' EXIT
leat=build/debug/leat

# expect WHAT EXIT-CODE PATTERN COMMAND...: the command ends with the code, and what it prints matches.
expect() {
    what=$1 code=$2 pattern=$3
    shift 3
    output=$("$@" 2>&1)
    got=$?
    if [ $got = "$code" ] && printf '%s\n' "$output" | grep -qE -- "$pattern"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'checkpoint_tools: %s: exit %s (wanted %s), output without /%s/:\n%s\n' "$what" $got "$code" "$pattern" "$output"
    fi
}

mkdir "$directory/in" "$directory/other"
echo "a word, a word" >"$directory/other/x"
build/debug/examples/file_wordcount "$directory/in" "$directory/checkpoint" --interval 20 >/dev/null &
program=$!
await() { # until the command succeeds; a minute is for a machine that is very busy
    for try in $(seq 1200); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
}
has_counted() { $leat state dump "$directory/checkpoint" | grep -q "'be'"; }
await [ -e "$directory/checkpoint/checkpoint" ] # only files that come after the start count
echo "to be or not to be" >"$directory/new"
mv "$directory/new" "$directory/in/text"
await has_counted
kill -9 $program
wait $program 2>/dev/null

expect "state as JSON" 0 '^\{"operator":"update_state_by_key#0","key":"be","value":2\}$' $leat state dump "$directory/checkpoint" --format json
expect "state as text" 0 "^update_state_by_key#0  'not'  1$" $leat state dump "$directory/checkpoint"
expect "frames" 0 'COMMIT epoch 1, .*: batch [0-9]+  pprint#0 ok' $leat checkpoint inspect "$directory/checkpoint"
expect "files of a plan" 0 'file#0: .*text' $leat checkpoint inspect "$directory/checkpoint"
expect "a whole directory" 0 'state      ok: 1 operators, 4 keys' $leat checkpoint verify "$directory/checkpoint"
expect "a foreign directory" 69 'no checkpoint' $leat checkpoint verify "$directory/other"
expect "a missing directory" 69 'no checkpoint' $leat state dump "$directory/nothing"
expect "a missing argument" 64 'directory is missing' $leat state dump
expect "a wrong format" 64 "not 'xml'" $leat state dump "$directory/checkpoint" --format xml
expect "help" 0 'leat state dump ./checkpoint --format json' $leat help state

# A flipped byte in the middle of what later frames vouch for.
log=$(ls "$directory"/checkpoint/batch-*.log | head -1)
printf '\377' | dd of="$log" bs=1 seek=120 conv=notrunc 2>/dev/null
expect "a damaged log" 65 'batch-.* (byte|at) ' $leat checkpoint verify "$directory/checkpoint"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
