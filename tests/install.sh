# The release as a user gets it: small, exporting nothing but leat_ names, and found by pkg-config, so that a program
# compiles against the installed headers and links with the shared and with the static library.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0 failed=0
check() { # text, command...
    text=$1
    shift
    if "$@" >"$root/log" 2>&1; then
        passed=$((passed + 1))
    else
        echo "not so: $text"
        sed 's/^/    /' "$root/log"
        failed=$((failed + 1))
    fi
}

check "make install works" make install DESTDIR="$root/" PREFIX=usr
tree=$root/usr

exports_only_leat() {
    nm -D --defined-only "$tree/lib/libleat.so" | awk '$3 !~ /^leat_/ { print; bad = 1 } END { exit bad }'
}
check "libleat.so exports only leat_ names" exports_only_leat

is_below_4_mib() { [ "$(wc -c <"$tree/bin/leat")" -lt $((4 << 20)) ]; }
[ ! -e build/release/leat ] || check "the stripped program is below 4 MiB" is_below_4_mib

cat >"$root/program.c" <<'PROGRAM'
#include <leat/leat.h>
int main(void)
{
    LeatStr rest = leat_str("a b"), word;
    int words = 0;
    while (leat_str_split(&rest, ' ', &word))
        words++;
    return words != 2;
}
PROGRAM
flags() { PKG_CONFIG_PATH=$tree/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@" leat; }
sed -i 's|^prefix=usr|prefix=/usr|' "$tree/lib/pkgconfig/leat.pc"
check "a program compiles with pkg-config" cc -Wall -Wextra -Werror "$root/program.c" -o "$root/shared" $(flags --cflags --libs)
check "it runs with the shared library" env LD_LIBRARY_PATH="$tree/lib" "$root/shared"
check "a program links with the static library" cc "$root/program.c" -o "$root/static" $(flags --cflags) \
    "$tree/lib/libleat.a" -pthread -lm
check "it runs on its own" "$root/static"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
