/* A driver that is none, for tests of what the command line makes of drivers: host memory in place
 * of a device's. Built as libcuda.so.1, and with -DHIP as libamdhip64.so.6. FAKE_<CALL>=number
 * makes a call answer that error; FAKE_COUNT and FAKE_VERSION say how many devices there are, and
 * how old the driver is; FAKE_DAMAGE changes a byte on the way back. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifndef FAKE_WAVE
#define FAKE_WAVE 32
#endif
#ifdef HIP
#define CALL(cuda, hip) __attribute__((visibility("default"))) int hip
#else
#define CALL(cuda, hip) __attribute__((visibility("default"))) int cuda
#endif

static int asked(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? (int)strtol(text, NULL, 10) : otherwise;
}

static const char *word(int code) {
    return code == 2 ? "OUT_OF_MEMORY" : code == 100 ? "NO_DEVICE" : "SOME_ERROR";
}

static size_t sizes[4096];
static void *places[4096];

static int take(void **out, size_t bytes) {
    for (size_t i = 0; i < 4096; i++) {
        if (places[i])
            continue;
        places[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        sizes[i] = bytes;
        *out = places[i];
        return 0;
    }
    return 2;
}

static int give(void *place) {
    for (size_t i = 0; i < 4096; i++) {
        if (places[i] != place)
            continue;
        (void)munmap(place, sizes[i]);
        places[i] = NULL;
        return 0;
    }
    return 1; /* it was never taken */
}

CALL(cuInit, hipInit)(unsigned flags) { return flags ? 1 : asked("FAKE_INIT", 0); }
CALL(cuDriverGetVersion, hipRuntimeGetVersion)(int *version) {
#ifdef HIP
    *version = asked("FAKE_VERSION", 60443483);
#else
    *version = asked("FAKE_VERSION", 13000);
#endif
    return 0;
}
CALL(cuDeviceGetCount, hipGetDeviceCount)(int *n) {
    *n = asked("FAKE_COUNT", 2);
    return 0;
}
CALL(cuDeviceGetName, hipDeviceGetName)(char *name, int n, int device) {
    (void)snprintf(name, (size_t)n, "Fake Device %d", device);
    return 0;
}
CALL(cuDeviceTotalMem_v2, hipDeviceTotalMem)(size_t *bytes, int device) {
    *bytes = (size_t)(device + 1) << 30;
    return 0;
}
CALL(cuDeviceGetPCIBusId, hipDeviceGetPCIBusId)(char *text, int n, int device) {
    (void)snprintf(text, (size_t)n, "0000:C%d:00.0", device);
    return 0;
}
CALL(cuMemGetInfo_v2, hipMemGetInfo)(size_t *available, size_t *total) {
    *available = (size_t)asked("FAKE_FREE_MIB", 512) << 20;
    *total = (size_t)1 << 30;
    return asked("FAKE_MEMORY", 0);
}
CALL(cuMemAlloc_v2, hipMalloc)(void **out, size_t bytes) {
    int code = asked("FAKE_ALLOC", 0);
    return code ? code : take(out, bytes);
}
CALL(cuMemFree_v2, hipFree)(void *place) { return give(place); }
CALL(cuMemHostAlloc, hipHostMalloc)(void **out, size_t bytes, unsigned flags) {
    return flags ? 1 : take(out, bytes);
}
CALL(cuMemFreeHost, hipHostFree)(void *place) { return give(place); }
CALL(cuStreamCreate, hipStreamCreateWithFlags)(void **out, unsigned flags) {
    return flags == 1 ? take(out, 64) : 1;
}
CALL(cuStreamDestroy_v2, hipStreamDestroy)(void *stream) { return give(stream); }
CALL(cuStreamSynchronize, hipStreamSynchronize)(void *stream) {
    (void)stream;
    return asked("FAKE_WAIT", 0);
}
CALL(cuEventCreate, hipEventCreateWithFlags)(void **out, unsigned flags) {
    return flags ? 1 : take(out, 64);
}
CALL(cuEventDestroy_v2, hipEventDestroy)(void *event) { return give(event); }
CALL(cuEventRecord, hipEventRecord)(struct timespec *event, void *stream) {
    (void)stream;
    return clock_gettime(CLOCK_MONOTONIC, event);
}
CALL(cuEventSynchronize, hipEventSynchronize)(void *event) {
    (void)event;
    return asked("FAKE_WAIT", 0);
}
CALL(cuEventElapsedTime, hipEventElapsedTime)
(float *ms, const struct timespec *from, const struct timespec *to) {
    *ms = (float)((double)(to->tv_sec - from->tv_sec) * 1e3 +
                  (double)(to->tv_nsec - from->tv_nsec) / 1e6);
    return 0;
}
CALL(cuMemcpyHtoDAsync_v2, hipMemcpyHtoDAsync)(void *to, void *from, size_t bytes, void *stream) {
    (void)stream;
    memcpy(to, from, bytes);
    return 0;
}
CALL(cuMemcpyDtoHAsync_v2, hipMemcpyDtoHAsync)
(unsigned char *to, void *from, size_t bytes, void *stream) {
    (void)stream;
    memcpy(to, from, bytes);
    to[bytes - 5] ^= (unsigned char)asked("FAKE_DAMAGE", 0);
    return asked("FAKE_COPY", 0);
}
CALL(cuMemcpyDtoDAsync_v2, hipMemcpyDtoDAsync)(void *to, void *from, size_t bytes, void *stream) {
    (void)stream;
    memcpy(to, from, bytes);
    return 0;
}
CALL(cuMemsetD8Async, hipMemsetD8Async)
(void *at, unsigned char value, size_t bytes, void *stream) {
    (void)stream;
    memset(at, value, bytes);
    return 0;
}

/* Code: what src/gpu/emu makes of a kernel; the driver that has none refuses them. */
typedef struct emu_kernel {
    void (*run)(const void *args);
    unsigned long args_bytes;
} emu_kernel;
extern void emu_launch(void (*kernel)(const void *args), const unsigned grid[3], unsigned threads,
                       const void *args) __attribute__((weak));

CALL(cuModuleLoadData, hipModuleLoadData)(void **module, const void *image) {
    int code = image ? asked("FAKE_LOAD", 0) : 1;
    return code ? code : take(module, 64);
}
CALL(cuModuleUnload, hipModuleUnload)(void *module) { return give(module); }
CALL(cuModuleGetFunction, hipModuleGetFunction)
(void **function, void *module, const char *name) {
    Dl_info self;
    (void)module;
    *function = NULL;
    if (dladdr((void *)places, &self) != 0) {
        void *library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
        *function = library ? dlsym(library, name) : NULL;
        if (library)
            (void)dlclose(library);
    }
    return *function ? 0 : 500;
}

/* A recorded launch holds a copy of its arguments. */
enum { ARGS_BYTES = 1024 };
typedef struct launch {
    void (*kernel)(const void *args);
    unsigned grid[3], threads;
    unsigned char args[ARGS_BYTES];
    struct launch *next;
} launch;
static launch *recorded, **record_end;

CALL(cuLaunchKernel, hipModuleLaunchKernel)
(const emu_kernel *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
 unsigned bz, unsigned shared, void *stream, void **args, void **extra) {
    const unsigned grid[3] = {gx, gy, gz};
    int code = asked("FAKE_LAUNCH", 0);
    (void)stream;
    if (code || !emu_launch || !gx || !gy || !gz || gy > 65535 || gz > 65535 || bx > 1024 ||
        by != 1 || bz != 1 || shared || extra || kernel->args_bytes > ARGS_BYTES)
        return code ? code : 1;
    if (!record_end) {
        emu_launch(kernel->run, grid, bx, args[0]);
        return 0;
    }
    launch *l = calloc(1, sizeof *l);
    *l = (launch){.kernel = kernel->run, .grid = {gx, gy, gz}, .threads = bx};
    memcpy(l->args, args[0], kernel->args_bytes);
    *record_end = l;
    record_end = &l->next;
    return 0;
}
CALL(cuStreamBeginCapture_v2, hipStreamBeginCapture)(void *stream, int mode) {
    (void)stream;
    recorded = NULL;
    record_end = &recorded;
    return mode != 1;
}
CALL(cuStreamEndCapture, hipStreamEndCapture)(void *stream, void **graph) {
    (void)stream;
    record_end = NULL;
    *graph = recorded;
    return 0;
}
CALL(cuGraphInstantiateWithFlags, hipGraphInstantiateWithFlags)
(void **made, void *graph, uint64_t flags) {
    *made = graph;
    return flags != 0;
}
CALL(cuGraphDestroy, hipGraphDestroy)(void *graph) {
    (void)graph; /* what was made of it has it */
    return 0;
}
CALL(cuGraphLaunch, hipGraphLaunch)(launch *made, void *stream) {
    (void)stream;
    for (; made; made = made->next)
        emu_launch(made->kernel, made->grid, made->threads, made->args);
    return 0;
}
CALL(cuGraphExecDestroy, hipGraphExecDestroy)(launch *made) {
    for (launch *next; made; made = next) {
        next = made->next;
        free(made);
    }
    return 0;
}

#ifdef HIP
CALL(, hipSetDevice)(int device) { return device < 0; }
__attribute__((visibility("default"))) const char *hipGetErrorName(int code) { return word(code); }
#else
CALL(cuDeviceGetAttribute, )(int *value, int which, int device) {
    (void)device;
    *value = which == 75 ? 9 : which == 76 ? 0 : which == 16 ? 132 : which == 10 ? FAKE_WAVE : 0;
    return 0;
}
static int held[64];
CALL(cuDevicePrimaryCtxRetain, )(void **context, int device) {
    *context = &held[device];
    return asked("FAKE_RETAIN", 0);
}
CALL(cuDevicePrimaryCtxRelease_v2, )(int device) { return device < 0; }
CALL(cuCtxSetCurrent, )(void *context) {
    (void)context;
    return 0;
}
CALL(cuGetErrorName, )(int code, const char **name) {
    *name = word(code);
    return 0;
}
#endif
