/* A driver that is none, for tests of what the command line makes of drivers: host memory in place
 * of a device's. Built as libcuda.so.1, and with -DHIP as libamdhip64.so.6. FAKE_<CALL>=number
 * makes a call answer that error; FAKE_COUNT and FAKE_VERSION say how many devices there are, and
 * how old the driver is; FAKE_DAMAGE changes a byte on the way back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

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

#ifdef HIP
CALL(, hipSetDevice)(int device) { return device < 0; }
__attribute__((visibility("default"))) const char *hipGetErrorName(int code) { return word(code); }
#else
CALL(cuDeviceGetAttribute, )(int *value, int which, int device) {
    (void)device;
    *value = which == 75 ? 9 : which == 76 ? 0 : which == 16 ? 132 : which == 10 ? 32 : 0;
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
