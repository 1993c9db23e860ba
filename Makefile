# rocmforge. The two commands are `make demo` and `make test`; `make help` lists the rest.
#   CONFIG=release|debug|asan|tsan   build directory build/$(CONFIG)
#   CC=gcc|clang                     compiler (gcc is the default)

CONFIG ?= release
BUILD := build/$(CONFIG)
ifeq ($(origin CC),default)
CC := gcc
endif

STD := -std=c17 -D_GNU_SOURCE
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
OPT_release := -O3 -g1 -fno-math-errno -fno-trapping-math -fvisibility=hidden
OPT_debug := -O1 -g -DRF_DEBUG
OPT_asan := -O1 -g -DRF_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -g -DRF_DEBUG -fsanitize=thread
OPT := $(OPT_$(CONFIG))
ifeq ($(OPT),)
$(error CONFIG=$(CONFIG) is unknown; choose release, debug, asan or tsan)
endif

CPPFLAGS += -Isrc -Iinclude
CFLAGS_ALL := $(STD) $(WARN) $(OPT) -ffp-contract=off -pthread -MMD -MP $(CFLAGS)
LDLIBS := -ljansson -lutf8proc -ledit -lm -pthread $(LDFLAGS)
ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512

ROOMS := base gguf quant tokenizer chat op cpu cpu/ref model kv sample engine cli
LIB_SRC := $(sort $(filter-out src/cli/main.c,$(wildcard $(ROOMS:%=src/%/*.c))))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB := $(BUILD)/librocmforge.a
BIN := $(BUILD)/rocmforge

TEST_SRC := $(sort $(wildcard tests/unit/*.c))
TEST_BIN := $(TEST_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
TEST_LIB_SRC := $(sort $(wildcard tests/lib/*.c))
TEST_LIB_OBJ := $(TEST_LIB_SRC:%.c=$(BUILD)/%.o)
KCHECK_SRC := $(sort $(wildcard tests/kcheck/*.c))
KCHECK_OBJ := $(KCHECK_SRC:%.c=$(BUILD)/%.o)

.PHONY: all
all: $(BIN)

$(BUILD)/%_avx2.o: CFLAGS_ALL += $(ISA_avx2)
$(BUILD)/%_avx512.o: CFLAGS_ALL += $(ISA_avx512)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "CC $<"; $(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c $< -o $@

$(LIB): $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BIN): $(BUILD)/src/cli/main.o $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ $(LDLIBS) -o $@

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TEST_LIB_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ -lcmocka $(LDLIBS) -o $@

$(BUILD)/kcheck: $(KCHECK_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ $(LDLIBS) -o $@

.PHONY: unit
unit: $(TEST_BIN)
	@set -e; for t in $(TEST_BIN); do echo "== $$t"; ./$$t; done

.PRECIOUS: $(BUILD)/%.o
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
