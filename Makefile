# Leat: one GNU Makefile, no configure step. `make help` lists the targets.
#
# Sources are found, never listed:
#   src/**/*.c            the library; but src/cli/*.c is the program `leat`, and *_test.c is a unit test each
#   *_avx2.c *_avx512.c   compiled for that CPU level, chosen at run time; left out where the machine is not x86-64
#   tests/*_test.c        unit tests too; the other tests/*.c are linked into every test
#   tests/*.sh            steps of `make test`; tests/hostile*.sh of `make hostile`
#   tests/sim/*.c         the simulation: random jobs on a machine that fails (make sim)
#   tests/fuzz/NAME.c     a fuzz target; its corpus is tests/fuzz/corpus/NAME/
#   examples/NAME.c       a program of a user: sees include/ only
#   bench/NAME.c          a benchmark; bench/common/*.c is linked into each
#
# One run of make builds one kind, BUILD=debug|release|tsan|fuzz, into $(OUT). Targets that need another kind call make again.

BUILD ?= debug
OUT   ?= build/$(BUILD)
JOBS  ?= 2
MAKEFLAGS += --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:

VERSION   := 0.1.0
SO_NAME   := libleat.so.0
PREFIX    ?= /usr/local
CLANG     ?= $(firstword $(shell command -v clang-14 clang) clang)
FORMATTER ?= clang-format-14

# ---- flags ---------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Werror
INCLUDES := -Isrc -Iinclude -Itests -Ibench
# No contraction of a * b + c: the answer must not depend on the CPU level.
COMMON   := -std=gnu11 -D_GNU_SOURCE -g -ffp-contract=off -fno-omit-frame-pointer -pthread

X86 := $(findstring x86_64,$(shell $(CC) -dumpmachine))

ifeq ($(BUILD),debug)
  MODE    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
  LINK    := -fsanitize=address,undefined
else ifeq ($(BUILD),tsan)
  MODE    := -O1 -fsanitize=thread
  LINK    := -fsanitize=thread
else ifeq ($(BUILD),release)
  # Hardening that costs nothing in a loop; zeroing every local (-ftrivial-auto-var-init) would.
  MODE    := -O3 -fPIC -fvisibility=hidden -fno-plt -ffunction-sections -fdata-sections \
             -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
             $(if $(X86),-fcf-protection)
  LINK    := -pie -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,noexecstack
else ifeq ($(BUILD),fuzz)
  MODE    := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
  LINK    := -fsanitize=fuzzer,address,undefined
else
  $(error BUILD=$(BUILD): debug, release, tsan or fuzz)
endif

CFLAGS_ALL = $(COMMON) $(MODE) $(WARNINGS) $(INCLUDES) $(CFLAGS)
LDLIBS    := -pthread -lm

AVX2   := -mavx2 -mbmi -mbmi2 -mlzcnt -mpopcnt -mfma
AVX512 := $(AVX2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512vbmi2 -mavx512cd \
          -mprefer-vector-width=512
cpu_flags = $(if $(filter %_avx2.c,$1),$(AVX2)) $(if $(filter %_avx512.c,$1),$(AVX512))

# An example is compiled as its user would: one include path, plain -O2 (sanitizers where the library has them).
EXAMPLE_FLAGS := -g -Iinclude -Wall -Wextra -Werror $(if $(filter release,$(BUILD)),-O2,$(MODE))

# ---- what there is -------------------------------------------------------------------------------------------------

find_c  = $(shell find $(wildcard $1) -name '*.c' 2>/dev/null | LC_ALL=C sort)
objects = $(patsubst %.c,$(OUT)/obj/%.o,$1)

SOURCES  := $(call find_c,src)
ifeq ($(X86),)
  SOURCES := $(filter-out %_avx2.c %_avx512.c,$(SOURCES))
endif
SRC_TESTS := $(filter %_test.c,$(SOURCES))
CLI_SRC   := $(filter-out %_test.c,$(filter src/cli/%,$(SOURCES)))
LIB_SRC   := $(filter-out %_test.c src/cli/%,$(SOURCES))
TEST_SRC  := $(sort $(wildcard tests/*_test.c))
CHECK_SRC := $(filter-out %_test.c,$(sort $(wildcard tests/*.c)))
EXAMPLE_SRC := $(sort $(wildcard examples/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))
BENCH_COMMON := $(call find_c,bench/common)
ifeq ($(X86),)
  BENCH_COMMON := $(filter-out %_avx2.c %_avx512.c,$(BENCH_COMMON))
endif
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/*.c))
SIM_SRC   := $(sort $(wildcard tests/sim/*.c))
STEPS     := $(sort $(filter-out tests/hostile%,$(wildcard tests/*.sh)))

LIB       := $(OUT)/libleat.a
PROGRAM   := $(if $(CLI_SRC),$(OUT)/leat)
TESTS     := $(SRC_TESTS:src/%.c=$(OUT)/tests/%) $(TEST_SRC:tests/%.c=$(OUT)/tests/%)
EXAMPLES  := $(EXAMPLE_SRC:%.c=$(OUT)/%)
BENCHES   := $(BENCH_SRC:%.c=$(OUT)/%)
HEADERS   := $(sort $(wildcard include/leat/*.h))

# The tests whose file says that they need the thread sanitizer, or have a long setting.
marked = $(patsubst src/%.c,$(OUT)/tests/%,$(patsubst tests/%.c,$(OUT)/tests/%,$(shell grep -lw $1 \
           $(SRC_TESTS) $(TEST_SRC) /dev/null)))

# ---- targets -------------------------------------------------------------------------------------------------------

.PHONY: debug release programs tests help run check-fast test hostile tsan sim spark bench fuzz fmt fmt-check layers install clean

## debug       (the default) leat, library, tests, examples with assertions and sanitizers, in build/debug/
debug:
	+@$(MAKE) BUILD=debug OUT=build/debug programs tests

## release     leat, libleat.a, libleat.so, examples, benchmarks, in build/release/
release:
	+@$(MAKE) BUILD=release OUT=build/release programs

## run         builds and runs the demo
run: release
	@exec build/release/leat demo

## check-fast  unit tests only; seconds
check-fast: debug
	@tools/run_tests $(TESTS)

## test        everything that a change must not break; the last line is `N passed, N failed`
test:
	+@$(MAKE) -j$(JOBS) debug release
	+@tools/run_tests $(STEPS) $(TESTS)

## hostile     the tests marked HOSTILE_TEST at their long setting (LEAT_TEST_LONG=1)
hostile: debug
	@LEAT_TEST_LONG=1 tools/run_tests $(call marked,HOSTILE_TEST) $(sort $(wildcard tests/hostile*.sh))

## tsan        the tests marked THREADS_TEST under the thread sanitizer, sweeps cut short, in build/tsan/
tsan:
	+@$(MAKE) BUILD=tsan OUT=build/tsan tsan-run
.PHONY: tsan-run
tsan-run: $(call marked,THREADS_TEST)
	@LEAT_TEST_SHORT=1 tools/run_tests $^

## sim SEED=n  random jobs on a simulated machine that fails, COUNT=k seeds from n on (one); tests/sim/sim.c
sim:
	+@$(MAKE) $(OUT)/tests/sim
	@$(OUT)/tests/sim $(or $(SEED),1) $(COUNT)

## spark       streams against those of a real Spark in SPARK_HOME, on random input, SEED=n (tests/spark/)
spark: $(OUT)/tests/spark/streams
	@tests/spark/compare.py $< $(or $(SEED),1)

## fuzz T=name the fuzz target tests/fuzz/name.c for SECONDS_MAX seconds (60); needs clang
fuzz:
	@[ -e "tests/fuzz/$(T).c" ] || { echo "make fuzz T=name, one of:" $(FUZZ_SRC:tests/fuzz/%.c=%); exit 1; }
	@command -v $(CLANG) >/dev/null || { echo "make fuzz needs clang and libclang-rt-14-dev"; exit 1; }
	+@$(MAKE) BUILD=fuzz OUT=build/fuzz CC=$(CLANG) build/fuzz/$(T)
	@mkdir -p build/fuzz/found/$(T) # new inputs go here: those worth keeping are moved to tests/fuzz/corpus by hand
	build/fuzz/$(T) -max_total_time=$(or $(SECONDS_MAX),60) -print_final_stats=1 -artifact_prefix=build/fuzz/$(T)- \
	    build/fuzz/found/$(T) $(wildcard tests/fuzz/corpus/$(T))

## bench       every benchmark, each figure beside its goal; two to three minutes (bench/README.md)
bench: release
	@sh bench/run

## layers      include edges, self-contained headers, no operating system outside src/env
layers: debug
	@tools/layers build/debug

FORMATTED = $(shell find $(wildcard src include tests examples bench) -name '*.[ch]')
## fmt         formats all C files (clang-format 14)
fmt:
	@$(FORMATTER) -i $(FORMATTED)
## fmt-check   says which files fmt would change
fmt-check:
	@bad=0; for file in $(FORMATTED); do \
	    $(FORMATTER) "$$file" | cmp -s - "$$file" || { echo "$$file: not as \`make fmt\` leaves it"; bad=1; }; \
	done; exit $$bad

## install     headers, libraries, leat.pc and leat, into $(DESTDIR)$(PREFIX) (PREFIX=/usr/local)
install: release
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include/leat lib/pkgconfig)
	install -m 644 $(HEADERS) $(DESTDIR)$(PREFIX)/include/leat/
	install -m 644 build/release/libleat.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 build/release/$(SO_NAME) $(DESTDIR)$(PREFIX)/lib/
	ln -sf $(SO_NAME) $(DESTDIR)$(PREFIX)/lib/libleat.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LDLIBS)|' tools/leat.pc.in \
	    > $(DESTDIR)$(PREFIX)/lib/pkgconfig/leat.pc
	$(if $(PROGRAM),install -m 755 -s build/release/leat $(DESTDIR)$(PREFIX)/bin/)

## clean       removes build/
clean:
	rm -rf build

## help        this list
help:
	@sed -n 's/^## /  make /p' Makefile

# ---- how a thing is made -------------------------------------------------------------------------------------------

# One word and the file, or with V=1 the whole command.
say = $(if $(V),,@echo "  $(BUILD) $@"; )

programs: $(PROGRAM) $(LIB) $(EXAMPLES) $(if $(filter release,$(BUILD)),$(OUT)/libleat.so $(BENCHES) $(OUT)/tests/sim)
	@:
tests: $(TESTS) $(OUT)/tests/sim
	@:

$(OUT)/obj/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(say)$(CC) $(CFLAGS_ALL) $(call cpu_flags,$<) -MMD -MP -c $< -o $@

$(OUT)/obj/examples/%.o: examples/%.c $(OUT)/flags
	@mkdir -p $(@D)
	$(say)$(CC) $(EXAMPLE_FLAGS) -MMD -MP -c $< -o $@

# Made anew whenever a source comes or goes: no stale member stays in the archive.
$(LIB): $(call objects,$(LIB_SRC)) $(OUT)/members
	@rm -f $@
	@$(AR) rcsD $@ $(filter %.o,$^)

$(OUT)/$(SO_NAME): $(call objects,$(LIB_SRC)) $(OUT)/members
	$(say)$(CC) -shared $(filter-out -pie,$(LINK)) -Wl,-soname,$(SO_NAME) -Wl,-z,defs $(filter %.o,$^) $(LDLIBS) -o $@
$(OUT)/libleat.so: $(OUT)/$(SO_NAME)
	@ln -sf $(SO_NAME) $@

link = $(say)mkdir -p $(@D) && $(CC) $(LINK) $(LDFLAGS) $(filter %.o %.a,$^) $(LDLIBS) -o $@

$(OUT)/leat: $(call objects,$(CLI_SRC)) $(OUT)/members $(LIB)
	$(link)
$(SRC_TESTS:src/%.c=$(OUT)/tests/%): $(OUT)/tests/%: $(OUT)/obj/src/%.o $(call objects,$(CHECK_SRC)) $(LIB)
	$(link)
$(TEST_SRC:tests/%.c=$(OUT)/tests/%): $(OUT)/tests/%: $(OUT)/obj/tests/%.o $(call objects,$(CHECK_SRC)) $(LIB)
	$(link)
$(EXAMPLES): $(OUT)/examples/%: $(OUT)/obj/examples/%.o $(LIB)
	$(link)
$(BENCHES): $(OUT)/bench/%: $(OUT)/obj/bench/%.o $(call objects,$(BENCH_COMMON)) $(LIB)
	$(link)

$(OUT)/tests/sim: $(call objects,$(SIM_SRC)) $(LIB)
	$(link)
$(OUT)/tests/spark/streams: $(OUT)/obj/tests/spark/streams.o $(LIB)
	$(link)
$(FUZZ_SRC:tests/fuzz/%.c=$(OUT)/%): $(OUT)/%: $(OUT)/obj/tests/fuzz/%.o $(LIB)
	$(link)

# Files that hold a text and are touched only when it changes: everything is compiled anew under other flags, and
# linked anew when the set of sources is another.
text_file = @mkdir -p $(@D); printf '%s\n' '$1' | cmp -s - $@ || printf '%s\n' '$1' > $@
.PHONY: FORCE
$(OUT)/flags: FORCE
	$(call text_file,$(CC) $(CFLAGS_ALL) $(LINK))
$(OUT)/members: FORCE
	$(call text_file,$(LIB_SRC) $(CLI_SRC) $(CHECK_SRC) $(BENCH_COMMON))

.SECONDARY: # keeps the objects of tests and examples
-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
