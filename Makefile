# rocmforge. The two commands are `make demo` and `make test`; `make help` lists the rest.

CONFIG ?= release
BUILD := build/$(CONFIG)
ifeq ($(origin CC),default)
CC := gcc
endif

STD := -std=c17 -D_GNU_SOURCE
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
OPT_release := -O3 -g1 -fno-math-errno -fno-trapping-math
OPT_debug := -O1 -g -DRF_DEBUG
OPT_asan := -O1 -g -DRF_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -g -DRF_DEBUG -fsanitize=thread
OPT_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
OPT := $(OPT_$(CONFIG))
ifeq ($(OPT),)
$(error CONFIG=$(CONFIG) is unknown; choose release, debug, asan, tsan or fuzz)
endif

CPPFLAGS += -Isrc -Iinclude
# -fPIC: one set of objects for the program and the shared library; with hidden symbols it costs nothing.
CFLAGS_ALL := $(STD) $(WARN) $(OPT) -fPIC -fvisibility=hidden -ffp-contract=off -pthread -MMD -MP $(CFLAGS)
LIB_LDLIBS := -ljansson -lutf8proc -lm -pthread
LDLIBS := $(LIB_LDLIBS) -lmicrohttpd -ledit -lzstd $(LDFLAGS)
ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512

PUBLIC_ROOMS := base gguf quant tokenizer chat op cpu cpu/ref model kv grammar sample text engine api
ROOMS := $(PUBLIC_ROOMS) trace null gpu server cli
ifeq ($(CONFIG),fuzz) # what reads files and texts; kernels take minutes to build with a sanitizer
ROOMS := base gguf quant tokenizer chat op model grammar kv sample text engine server
endif
LIB_SRC := $(sort $(filter-out src/cli/main.c,$(wildcard $(ROOMS:%=src/%/*.c))))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
ifneq ($(CONFIG),fuzz)
LIB_OBJ += $(BUILD)/gpu_codes.o
endif
LIB := $(BUILD)/internal.a
BIN := $(BUILD)/rocmforge

# Kernels for GPUs, the same in every CONFIG; without clang-19 and lld-19 the program has none, and says so.
KERNEL_CC := $(if $(shell command -v ld.lld-19),$(shell command -v clang-19))
# What install-deps is asked for beside the rest, where there is a GPU.
GPU_NEED := $(if $(wildcard /dev/nvidiactl /dev/kfd),gpu)
ALL_GPU_TARGETS := sm_80 gfx900 gfx906 gfx908 gfx90a gfx942 gfx1030 gfx1100 gfx1101 gfx1151 gfx1200 gfx1201
GPU_TARGETS ?= sm_80 gfx90a gfx942 gfx1100 gfx1201
KERNEL_FILES := $(basename $(notdir $(wildcard src/gpu/kernels/*.hip)))
GPU_CODES := $(if $(KERNEL_CC),$(foreach t,$(GPU_TARGETS:all=$(ALL_GPU_TARGETS)),$(KERNEL_FILES:%=build/gpu/$t/%.zst)))

# What others link: the rooms that api/ stands on, and no symbol but rocmforge_*.
VERSION := $(shell sed -n 's/^.define ROCMFORGE_VERSION  *"\(.*\)"/\1/p' include/rocmforge.h)
SO_NAME := librocmforge.so.$(firstword $(subst ., ,$(VERSION)))
SO_FILE := librocmforge.so.$(VERSION)
PUBLIC_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard $(PUBLIC_ROOMS:%=src/%/*.c))))
PUBLIC := $(BUILD)/lib/librocmforge.a $(BUILD)/lib/$(SO_FILE) $(BUILD)/lib/rocmforge.pc
PREFIX ?= /usr/local

TEST_SRC := $(sort $(wildcard tests/unit/*.c))
TEST_BIN := $(TEST_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
TEST_LIB_SRC := $(sort $(wildcard tests/lib/*.c))
TEST_LIB_OBJ := $(TEST_LIB_SRC:%.c=$(BUILD)/%.o)
FUZZ_SECONDS ?= 60
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
KCHECK_SRC := $(sort $(wildcard tests/kcheck/*.c))
KCHECK_OBJ := $(KCHECK_SRC:%.c=$(BUILD)/%.o)
SIM_SRC := $(sort $(wildcard tests/sim/*.c))
SIM_OBJ := $(SIM_SRC:%.c=$(BUILD)/%.o)

.PHONY: all
all: $(BIN)

$(BUILD)/tests/%.o: CPPFLAGS += -I.
# Unrolled kernels take minutes to compile with every check in line: under ASan theirs are calls, and
# UBSan, which finds little in intrinsics, leaves them out.
IS_CLANG := $(findstring clang,$(CC))
CALLS := $(if $(IS_CLANG),-mllvm -asan-instrumentation-with-call-threshold=0,--param asan-instrumentation-with-call-threshold=0)
KERNEL_asan := -fno-sanitize=undefined -g1 $(CALLS)
KERNEL_fuzz := $(KERNEL_asan)
$(BUILD)/%_avx2.o: CFLAGS_ALL += $(ISA_avx2) $(KERNEL_$(CONFIG))
$(BUILD)/%_avx512.o: CFLAGS_ALL += $(ISA_avx512) $(KERNEL_$(CONFIG))

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "CC $<"; $(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c $< -o $@

build/gpu/%.zst: $(wildcard src/gpu/kernels/*) src/gpu/gpu_types.def tools/gpu-kernel
	@echo "GPU $*"; tools/gpu-kernel $(KERNEL_CC) $(patsubst %/,%,$(dir $*)) $(notdir $*) $@

# Written anew when the list of targets is another one.
.PHONY: targets-change
$(BUILD)/gpu_codes.S: targets-change
	@mkdir -p $(@D) && tools/gpu-code $(GPU_CODES) >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/gpu_codes.o: $(BUILD)/gpu_codes.S $(GPU_CODES)
	@$(CC) -c $< -o $@

# The emulator: a driver's library whose device is this processor (src/gpu/emu).
EMU := $(foreach w,32 64,build/emu/wave$w/libcuda.so.1)
build/emu/wave%/libcuda.so.1: $(wildcard src/gpu/kernels/* src/gpu/emu/*) src/gpu/gpu_types.def tests/gpu/fake_driver.c Makefile
	@mkdir -p $(@D) && echo "EMU $@"
	@for file in $(KERNEL_FILES:%=src/gpu/kernels/%.hip) src/gpu/emu/fibers.cc; do \
	  $(KERNEL_CC) -x c++ -std=c++17 -O2 -march=x86-64-v3 -ffp-contract=off -fPIC -Wall -Werror -Wno-unused-function -Wno-unused-const-variable \
	    -DRF_EMU -DRF_EMU_WAVE=$* -Isrc -c $$file -o $(@D)/$$(basename $$file).o || exit 1; done
	@$(KERNEL_CC) -O2 -fPIC -Wall -Werror -DFAKE_WAVE=$* -c tests/gpu/fake_driver.c -o $(@D)/driver.o
	@$(KERNEL_CC) -shared -Wl,-Bsymbolic $(@D)/*.o -lstdc++ -ldl -lm -o $@

.PHONY: emu
emu: $(EMU)

$(LIB): $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BIN): $(BUILD)/src/cli/main.o $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ $(LDLIBS) -o $@

$(BUILD)/lib/$(SO_FILE): $(PUBLIC_OBJ) src/api/exports.map
	@mkdir -p $(@D)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) -shared -Wl,-soname,$(SO_NAME) -Wl,-z,defs \
	  -Wl,--version-script=src/api/exports.map $(PUBLIC_OBJ) $(LIB_LDLIBS) $(LDFLAGS) -o $@
	@ln -sf $(SO_FILE) $(@D)/$(SO_NAME) && ln -sf $(SO_NAME) $(@D)/librocmforge.so

# One object whose other names are local, so that they meet none of the program it is linked into.
$(BUILD)/lib/librocmforge.a: $(PUBLIC_OBJ)
	@mkdir -p $(@D) && rm -f $@
	@echo "AR $@"; $(CC) -r -nostdlib $(PUBLIC_OBJ) -o $(BUILD)/lib/rocmforge.o
	@objcopy --wildcard --keep-global-symbol='rocmforge_*' $(BUILD)/lib/rocmforge.o
	@$(AR) rcs $@ $(BUILD)/lib/rocmforge.o && rm $(BUILD)/lib/rocmforge.o

.PHONY: prefix-changes
$(BUILD)/lib/rocmforge.pc: prefix-changes
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	  'Name: rocmforge' 'Description: runs GGUF language models' 'Version: $(VERSION)' \
	  'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lrocmforge' 'Libs.private: $(LIB_LDLIBS)' >$@

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TEST_LIB_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ -lcmocka -llzma $(LDLIBS) -o $@

# Real models against golden paths and perplexity: build/<config>/tests/real MODEL.gguf GOLDEN.json
$(BUILD)/tests/real: $(BUILD)/tests/real.o $(TEST_LIB_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ -lcmocka -llzma $(LDLIBS) -o $@

# What requests cost each other on a real model: build/release/tests/serving MODEL.gguf
$(BUILD)/tests/serving: $(BUILD)/tests/serving.o $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ $(LDLIBS) -o $@

# Golden models on a GPU, or on the emulator by LD_LIBRARY_PATH=build/emu/wave32.
$(BUILD)/tests/gpu_models: $(BUILD)/tests/gpu/models.o $(TEST_LIB_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ -lcmocka -llzma $(LDLIBS) -o $@

$(BUILD)/kcheck: $(KCHECK_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ $(LDLIBS) -o $@

# The scheduler and the cache on a fake model in virtual time.
$(BUILD)/sim: $(SIM_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ $(LDLIBS) -o $@

# What masks of tokens cost; run it from here.
$(BUILD)/tests/masks: $(BUILD)/tests/masks.o $(TEST_LIB_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ -lcmocka -llzma $(LDLIBS) -o $@

# Writes every hostile file into a folder: hostile OUTDIR
$(BUILD)/tests/hostile: $(BUILD)/tests/hostile_main.o $(TEST_LIB_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ -llzma $(LDLIBS) -o $@

# Each tests/fuzz/fuzz_NAME.c is linked twice: with replay.c, which runs a corpus as a test, and
# under CONFIG=fuzz with libFuzzer. Finds go to tests/fuzz/corpus/NAME and stay there for ever.
$(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(TEST_LIB_OBJ) $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) $^ -llzma $(LDLIBS) -o $@

$(BUILD)/tests/libtests.a: $(TEST_LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/libtests.a $(LIB)
	@echo "LD $@"; $(CC) $(CFLAGS_ALL) -fsanitize=fuzzer $^ -llzma $(LDLIBS) -o $@

.PHONY: fuzz fuzz-replay
fuzz:
	@$(MAKE) --no-print-directory CONFIG=fuzz CC=clang $(FUZZ_NAMES:%=fuzz-run-%)

fuzz-run-%: $(BUILD)/tests/fuzz/fuzz_%
	@mkdir -p $(BUILD)/corpus/$*
	@echo "== fuzz $*"; $< -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=2048 \
	  $(addprefix -dict=,$(wildcard tests/fuzz/$*.dict)) -print_final_stats=1 -artifact_prefix=$(BUILD)/corpus/ $(BUILD)/corpus/$* tests/fuzz/corpus/$*

fuzz-replay: $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/replay_%)
	@set -e; for name in $(FUZZ_NAMES); do \
	  echo "== replay $$name"; $(BUILD)/tests/fuzz/replay_$$name tests/fuzz/corpus/$$name/*; done

# Everything that tools/run-tests runs, for this CONFIG.
.PHONY: tests
tests: $(TEST_BIN) $(BUILD)/kcheck $(BUILD)/sim $(BUILD)/tests/masks $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/replay_%)

# ---- commands for people -------------------------------------------------------------------

JOBS ?= $(shell nproc)
MODEL ?= smollm2-135m
PROMPT ?= $(if $(filter gemma3-270m,$(MODEL)),The three primary colours are,Why is the sky blue? Answer in two sentences.)
SUBMAKE = $(MAKE) -s --no-print-directory -j$(JOBS)

.PHONY: help demo serve-demo test test-gpu soak check format clean lib install uninstall
help:
	@echo 'make            build build/release/rocmforge'
	@echo 'make demo       install what is missing, build, fetch a small model, answer a prompt'
	@echo '                  MODEL=gemma3-270m  another model      PROMPT="…"  your own question'
	@echo 'make serve-demo serve that model on port 8080'
	@echo 'make test       the whole test suite (installs what it needs)'
	@echo 'make test-gpu   what needs a GPU: golden models and types on it, compute-sanitizer where it is'
	@echo 'make soak       the server overloaded, 100,000 mixed requests, idle connections; some minutes'
	@echo 'make check      the style checks alone       make format   let clang-format write the files'
	@echo 'make fuzz       libFuzzer on every target, FUZZ_SECONDS each (default 60)'
	@echo 'make lib        shared and static library in build/release/lib'
	@echo 'make install    program, library, header, pkg-config file   PREFIX=/usr/local DESTDIR='
	@echo 'make uninstall  removes what make install wrote'
	@echo 'make clean      remove build/'
	@echo 'CONFIG=release|debug|asan|tsan   CC=gcc|clang'

demo: export PROMPT := $(PROMPT)
demo:
	@tools/install-deps build demo $(GPU_NEED)
	@$(SUBMAKE) all
	@model=$$(tools/fetch-model $(MODEL)) && \
	  $(BIN) generate -m "$$model" -p "$$PROMPT" -n 128 --temp 0 $(if $(filter gemma3-270m,$(MODEL)),--raw)

serve-demo:
	@tools/install-deps build demo $(GPU_NEED)
	@$(SUBMAKE) all
	@model=$$(tools/fetch-model $(MODEL)) && \
	  echo "curl http://127.0.0.1:8080/v1/chat/completions -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'" && \
	  echo "python3 -c 'import openai; print(openai.OpenAI(base_url=\"http://127.0.0.1:8080/v1\", api_key=\"-\").chat.completions.create(model=\"-\", messages=[{\"role\": \"user\", \"content\": \"Hello\"}]).choices[0].message.content)'" && \
	  exec $(BIN) serve -m "$$model" --max-seqs 16

test:
	@tools/install-deps build demo gpu test
	@$(SUBMAKE) CONFIG=release all lib tests emu $(BUILD)/tests/real $(BUILD)/tests/hostile $(BUILD)/tests/gpu_models
	@$(SUBMAKE) CONFIG=asan all tests
	@$(SUBMAKE) CONFIG=tsan all tests
	@tools/fetch-model smollm2-135m && tools/fetch-model gemma3-270m
	@tools/test-venv >/dev/null
	@tools/run-tests

# On a machine with a GPU.
test-gpu:
	@tools/install-deps build gpu test
	@$(SUBMAKE) CONFIG=release all $(BUILD)/tests/gpu_models
	@$(BUILD)/tests/gpu_models
	@set -e; command -v compute-sanitizer >/dev/null || exit 0; \
	for model in llama mixtral gemma3; do for tool in memcheck racecheck; do echo "== $$tool $$model"; \
	  compute-sanitizer --tool $$tool --error-exitcode 1 $(BIN) generate -m tests/golden/models/$$model.gguf --raw -q -n 4 --temp 0 \
	    --ignore-eos -c 64 --device gpu -p "Hello there my friend, this prompt has more than eight tokens"; done; done

soak: all
	@bench/soak

check:
	@set -e; for check in tools/check-*; do $$check; done

format:
	@git ls-files -co --exclude-standard -- 'src/*.[ch]' 'tests/*.[ch]' 'include/*.h' 'examples/*.c' | xargs clang-format -i

lib: $(PUBLIC)

# Path below the prefix of what install writes besides links: program, library, completions.
TO := $(DESTDIR)$(PREFIX)
COMPLETIONS := share/bash-completion/completions/rocmforge share/zsh/site-functions/_rocmforge \
  share/fish/vendor_completions.d/rocmforge.fish

install: $(BIN) $(PUBLIC)
	@install -d $(TO)/bin $(TO)/include $(TO)/lib/pkgconfig $(dir $(COMPLETIONS:%=$(TO)/%))
	@install -m 755 $(BIN) $(TO)/bin/rocmforge
	@install -m 644 include/rocmforge.h $(TO)/include/
	@install -m 644 $(BUILD)/lib/librocmforge.a $(BUILD)/lib/$(SO_FILE) $(TO)/lib/
	@install -m 644 $(BUILD)/lib/rocmforge.pc $(TO)/lib/pkgconfig/
	@ln -sf $(SO_FILE) $(TO)/lib/$(SO_NAME) && ln -sf $(SO_NAME) $(TO)/lib/librocmforge.so
	@set -e; set -- $(COMPLETIONS); for shell in bash zsh fish; do \
	  $(BIN) completion $$shell >$(TO)/$$1; shift; done
	@echo "installed under $(TO); run ldconfig if that is where the system looks for libraries"

uninstall:
	@rm -f $(TO)/bin/rocmforge $(TO)/include/rocmforge.h $(COMPLETIONS:%=$(TO)/%) \
	  $(TO)/lib/librocmforge.* $(TO)/lib/pkgconfig/rocmforge.pc

clean:
	rm -rf build

.PRECIOUS: $(BUILD)/%.o $(BUILD)/tests/fuzz/fuzz_%
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
