/*
 * Runs a grid, block after block, each thread of a block on a fiber of its own. A fiber goes on
 * until it ends or waits; waves are released when none of their lanes can run.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

struct emu_place {
    uint32_t thread, n_threads, block[3], grid[3];
};
emu_place emu_here;

namespace {
enum { WAVE = RF_EMU_WAVE, MAX_THREADS = 1024, STACK_BYTES = 256 << 10 };
enum state { RUNS, AT_BARRIER, AT_EXCHANGE, ENDED };

struct fiber {
    void *stack_pointer;
    char *stack;
    state at;
    uint64_t brings;  /* to an exchange */
    const void *site; /* which */
};
fiber fibers[MAX_THREADS];
uint64_t brought[WAVE + 1]; /* to the last exchange, then which lanes were there */
uint32_t current;
void *scheduler;
void (*kernel)(const void *);
const void *kernel_args;

/* Saves what a call must keep on the old stack, and goes on on the new one. */
extern "C" void emu_switch(void **save, void *to);
#if defined(__x86_64__)
asm(".text\n.hidden emu_switch\n.globl emu_switch\nemu_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
#else
#error "the emulator switches fibers on x86-64 alone"
#endif

void leave(state how) {
    fibers[current].at = how;
    emu_switch(&fibers[current].stack_pointer, scheduler);
}

void begin(void) {
    kernel(kernel_args);
    leave(ENDED);
}

void start(fiber &f) {
    if (!f.stack)
        f.stack = (char *)mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void **top = (void **)(f.stack + STACK_BYTES) - 2;
    *top = (void *)begin;
    f.stack_pointer = top - 6; /* the registers that emu_switch takes back */
    f.at = RUNS;
}

/* Lets a wave's lanes that wait at one place go on together; false if none waits. */
bool exchange(uint32_t first, uint32_t end) {
    const void *site = nullptr;
    for (uint32_t i = first; i < end; i++)
        if (fibers[i].at == AT_EXCHANGE && (!site || fibers[i].site < site))
            site = fibers[i].site;
    if (!site)
        return false;
    brought[WAVE] = 0;
    for (uint32_t lane = 0; lane < WAVE; lane++) {
        uint32_t i = first + lane;
        bool here = i < end && fibers[i].at == AT_EXCHANGE && fibers[i].site == site;
        brought[lane] = here ? fibers[i].brings : 0;
        brought[WAVE] |= (uint64_t)here << lane;
    }
    for (uint32_t i = first; i < end; i++)
        if (fibers[i].at == AT_EXCHANGE && fibers[i].site == site)
            fibers[i].at = RUNS;
    return true;
}

void run_block(uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        start(fibers[i]);
    for (;;) {
        uint32_t ended = 0, waiting = 0;
        bool moved = false;
        for (uint32_t first = 0; first < n; first += WAVE) {
            uint32_t end = first + WAVE < n ? first + WAVE : n;
            do {
                for (current = first; current < end; current++)
                    if (fibers[current].at == RUNS) {
                        emu_here.thread = current;
                        fibers[current].site = nullptr;
                        emu_switch(&scheduler, fibers[current].stack_pointer);
                        moved = true;
                    }
            } while (exchange(first, end));
            for (uint32_t i = first; i < end; i++) {
                ended += fibers[i].at == ENDED;
                waiting += fibers[i].at == AT_BARRIER;
            }
        }
        if (ended == n)
            return;
        if (waiting + ended == n)
            for (uint32_t i = 0; i < n; i++)
                fibers[i].at = fibers[i].at == AT_BARRIER ? RUNS : fibers[i].at;
        else if (!moved) {
            std::fprintf(stderr, "emulator: threads of a block wait for each other\n");
            std::abort();
        }
    }
}
} // namespace

void emu_block_barrier(void) { leave(AT_BARRIER); }

__attribute__((noinline)) const uint64_t *emu_exchange(uint64_t mine) {
    fiber &f = fibers[current];
    f.brings = mine;
    f.site = __builtin_return_address(0);
    leave(AT_EXCHANGE);
    return brought;
}

extern "C" void emu_launch(void (*function)(const void *), const unsigned grid[3], unsigned threads,
                           const void *args) {
    kernel = function;
    kernel_args = args;
    emu_here.n_threads = threads;
    std::memcpy(emu_here.grid, grid, sizeof emu_here.grid);
    for (uint32_t z = 0; z < grid[2]; z++)
        for (uint32_t y = 0; y < grid[1]; y++)
            for (uint32_t x = 0; x < grid[0]; x++) {
                uint32_t at[3] = {x, y, z};
                std::memcpy(emu_here.block, at, sizeof at);
                run_block(threads);
            }
}
