#include "gpu/code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/alloc.h"

enum { MAX_IMAGE = 256 << 20 };

/* The number behind "sm_"; 0 of others. */
static long sm_of(const char *arch) {
    return strncmp(arch, "sm_", 3) == 0 ? strtol(arch + 3, NULL, 10) : 0;
}

static bool fits(const char *arch, const char *target, const char *best) {
    if (sm_of(arch) == 0 || sm_of(target) == 0)
        return strcmp(arch, target) == 0;
    return sm_of(target) <= sm_of(arch) && (!best || sm_of(target) > sm_of(best));
}

static void list_targets(char *out, size_t n) {
    const char *last = "";
    size_t at = 0;
    *out = 0;
    for (const rf_gpu_code *code = rf_gpu_codes; code->target && at < n; code++) {
        if (strcmp(code->target, last) != 0)
            at += (size_t)snprintf(out + at, n - at, " %s", code->target);
        last = code->target;
    }
}

rf_status rf_gpu_code_find(const char *arch, const rf_gpu_code *out[RF_GPU_MODULES],
                           rf_error *err) {
    const char *best = NULL;
    char built[256];
    size_t n = 0;
    for (const rf_gpu_code *code = rf_gpu_codes; code->target; code++)
        if (fits(arch, code->target, best))
            best = code->target;
    for (const rf_gpu_code *code = rf_gpu_codes; best && code->target; code++)
        if (strcmp(code->target, best) == 0 && n < RF_GPU_MODULES)
            out[n++] = code;
    if (n == RF_GPU_MODULES)
        return RF_OK;
    list_targets(built, sizeof built);
    return rf_fail(err, RF_ERR_UNSUPPORTED, "no kernels for %s were built; there are%s%s%s", arch,
                   *built ? built : " none",
                   *built ? "" : ": install clang-19 and lld-19, then run make again",
                   *built ? "; make GPU_TARGETS=… builds others" : "");
}

rf_status rf_gpu_code_unpack(const rf_gpu_code *code, uint8_t **out, rf_error *err) {
    size_t packed = (size_t)(code->end - code->data);
    unsigned long long bytes = ZSTD_getFrameContentSize(code->data, packed);
    if (bytes > MAX_IMAGE)
        return rf_fail(err, RF_ERR_INTERNAL, "kernels %s for %s are damaged", code->file,
                       code->target);
    uint8_t *image = rf_alloc((size_t)bytes + 1);
    if (!image)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for %llu bytes of kernels", bytes);
    if (ZSTD_decompress(image, (size_t)bytes, code->data, packed) != bytes) {
        rf_free(image);
        return rf_fail(err, RF_ERR_INTERNAL, "kernels %s for %s are damaged", code->file,
                       code->target);
    }
    image[bytes] = 0;
    *out = image;
    return RF_OK;
}
