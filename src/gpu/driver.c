#include "gpu/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "gpu/amd_topology.h"
#include "gpu/driver_state.h"

enum {
    /* The least version: PTX of sm_90a came with CUDA 12.0; HIP's numbers are packed as 10^7. */
    CUDA_LEAST = 12000,
    HIP_LEAST = 50000000,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101, /* what HIP says instead, where there is none */
    OUT_OF_MEMORY = 2,
    NON_BLOCKING = 1, /* a stream that does not wait for the default one */
    NS_PER_MS = 1000000
};

/* CUdevice_attribute, as the driver API numbers them. */
enum { ATTR_WARP = 10, ATTR_UNITS = 16, ATTR_INTEGRATED = 18, ATTR_MAJOR = 75, ATTR_MINOR = 76 };

typedef struct vendor_row {
    const char *name, *api;
    const char *libraries[5]; /* tried in this order */
} vendor_row;

static const vendor_row vendors[RF_GPU_VENDOR_COUNT] = {
    {"NVIDIA", "cuda", {"libcuda.so.1"}},
    {"AMD", "hip", {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", "libamdhip64.so"}},
};

const char *rf_gpu_vendor_name(rf_gpu_vendor vendor) { return vendors[vendor].name; }

/* ---- what drivers say ------------------------------------------------------------------------ */

static const char *advice(rf_gpu_vendor vendor, int code) {
    static const struct {
        rf_gpu_vendor vendor;
        int code;
        const char *text;
    } rows[] = {
#define X(vendor, code, text) {RF_GPU_##vendor, code, text},
#include "gpu/driver_errors.def"
#undef X
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].vendor == vendor && rows[i].code == code)
            return rows[i].text;
    return NULL;
}

static const char *word_of(const rf_gpu_driver *d, int code) {
    const char *name = NULL;
    if (d->vendor == RF_GPU_AMD)
        name = d->hip_error(code);
    else if (d->cuda_error(code, &name) != 0)
        name = NULL;
    return name ? name : "unknown";
}

rf_status rf_gpu_driver_fail(const rf_gpu_driver *d, rf_status status, int device, const char *what,
                             int code, rf_error *err) {
    char place[32] = "";
    const char *help = advice(d->vendor, code);
    if (device >= 0)
        (void)snprintf(place, sizeof place, " device %d:", device);
    return rf_fail(err, status, "%s:%s %s: %s (%d)%s%s", d->base.api.name, place, what,
                   word_of(d, code), code, help ? "; " : "", help ? help : "");
}

rf_status rf_gpu_driver_check(const rf_gpu_driver *d, int device, const char *what, int code,
                              rf_error *err) {
    return code == 0 ? RF_OK : rf_gpu_driver_fail(d, RF_ERR_IO, device, what, code, err);
}

/* Calls work on what is current in the thread. */
int rf_gpu_driver_use(const rf_gpu_driver *d, int device) {
    return d->vendor == RF_GPU_AMD ? d->calls.use_device(device)
                                   : d->calls.use_context(d->contexts[device]);
}

/* ---- the table ---------------------------------------------------------------------------------
 */

static rf_status attach(rf_gpu *gpu, int device, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    void *context = NULL;
    if (d->vendor == RF_GPU_NVIDIA) {
        int code = d->calls.retain(&context, device);
        RF_TRY(rf_gpu_driver_check(d, device, "taking its context", code, err));
        d->contexts[device] = context;
    }
    return rf_gpu_driver_check(d, device, "selecting it", rf_gpu_driver_use(d, device), err);
}

static void detach(rf_gpu *gpu, int device) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    if (d->vendor == RF_GPU_NVIDIA && d->contexts[device]) {
        (void)d->calls.use_context(NULL);
        (void)d->calls.forget(device);
        d->contexts[device] = NULL;
    }
}

static rf_status memory(rf_gpu *gpu, int device, uint64_t *free_bytes, uint64_t *total_bytes,
                        rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    size_t available = 0, total = 0;
    RF_GPU_USE(d, device, "asking for its memory", err);
    RF_TRY(rf_gpu_driver_check(d, device, "asking for its memory",
                               d->calls.memory(&available, &total), err));
    *free_bytes = available;
    *total_bytes = total;
    return RF_OK;
}

static rf_status no_room(const rf_gpu_driver *d, int device, size_t bytes, const char *where,
                         int code, rf_error *err) {
    char what[96];
    (void)snprintf(what, sizeof what, "taking %zu bytes of %s", bytes, where);
    return code == 0 ? RF_OK
                     : rf_gpu_driver_fail(d, code == OUT_OF_MEMORY ? RF_ERR_NO_MEMORY : RF_ERR_IO,
                                          device, what, code, err);
}

static rf_status alloc(rf_gpu *gpu, int device, size_t bytes, rf_gpu_address *out, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "taking memory", err);
    *out = 0;
    return no_room(d, device, bytes, "its memory", d->calls.alloc(out, bytes), err);
}

static void release(rf_gpu *gpu, int device, rf_gpu_address address) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    if (address != 0 && rf_gpu_driver_use(d, device) == 0)
        (void)d->calls.release(address);
}

static rf_status pin(rf_gpu *gpu, int device, size_t bytes, void **out, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "pinning memory", err);
    *out = NULL;
    return no_room(d, device, bytes, "pinned host memory", d->calls.pin(out, bytes, 0), err);
}

static void unpin(rf_gpu *gpu, int device, void *pinned) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    if (pinned && rf_gpu_driver_use(d, device) == 0)
        (void)d->calls.unpin(pinned);
}

static rf_status stream_create(rf_gpu *gpu, int device, rf_gpu_stream *out, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "making a stream", err);
    return rf_gpu_driver_check(d, device, "making a stream",
                               d->calls.stream_create((void **)out, NON_BLOCKING), err);
}

static void stream_destroy(rf_gpu *gpu, int device, rf_gpu_stream stream) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    if (stream && rf_gpu_driver_use(d, device) == 0)
        (void)d->calls.stream_destroy(stream);
}

static rf_status stream_wait(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "waiting for a stream", err);
    return rf_gpu_driver_check(d, device, "waiting for a stream", d->calls.stream_wait(stream),
                               err);
}

static rf_status event_create(rf_gpu *gpu, int device, rf_gpu_event *out, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "making an event", err);
    return rf_gpu_driver_check(d, device, "making an event", d->calls.event_create((void **)out, 0),
                               err);
}

static void event_destroy(rf_gpu *gpu, int device, rf_gpu_event event) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    if (event && rf_gpu_driver_use(d, device) == 0)
        (void)d->calls.event_destroy(event);
}

static rf_status event_record(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_event event,
                              rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "recording an event", err);
    return rf_gpu_driver_check(d, device, "recording an event",
                               d->calls.event_record(event, stream), err);
}

static rf_status event_wait(rf_gpu *gpu, int device, rf_gpu_event event, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "waiting for an event", err);
    return rf_gpu_driver_check(d, device, "waiting for an event", d->calls.event_wait(event), err);
}

static rf_status event_elapsed(rf_gpu *gpu, int device, rf_gpu_event from, rf_gpu_event to,
                               uint64_t *ns, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    float ms = 0;
    RF_GPU_USE(d, device, "reading events", err);
    RF_TRY(rf_gpu_driver_check(d, device, "reading events", d->calls.event_elapsed(&ms, from, to),
                               err));
    *ns = ms > 0 ? (uint64_t)((double)ms * NS_PER_MS) : 0;
    return RF_OK;
}

static rf_status copy(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_copy_kind kind,
                      uint64_t to, uint64_t from, size_t bytes, rf_error *err) {
    static const char *const what[RF_GPU_COPY_KIND_COUNT] = {"copying to it", "copying from it",
                                                             "copying inside it"};
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, what[kind], err);
    int code = kind == RF_GPU_TO_DEVICE ? d->calls.copy_to_device(to, from, bytes, stream)
               : kind == RF_GPU_TO_HOST ? d->calls.copy_to_host(to, from, bytes, stream)
                                        : d->calls.copy_inside(to, from, bytes, stream);
    return rf_gpu_driver_check(d, device, what[kind], code, err);
}

static rf_status clear(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_address at,
                       size_t bytes, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "clearing memory", err);
    return rf_gpu_driver_check(d, device, "clearing memory", d->calls.clear(at, 0, bytes, stream),
                               err);
}

static void destroy(rf_gpu *gpu) {
    if (!gpu)
        return;
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    for (int i = 0; d->contexts && i < gpu->n_devices; i++)
        detach(gpu, i);
    rf_free(d->contexts);
    rf_free(d->info);
    if (d->library)
        (void)dlclose(d->library);
    rf_free(d);
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static bool find(void *library, const char *symbol, void *out) {
    void *found = *symbol ? dlsym(library, symbol) : NULL;
    memcpy(out, &found, sizeof found); /* C has no cast from objects to functions */
    return found || !*symbol;
}

static rf_status find_calls(rf_gpu_driver *d, rf_error *err) {
    bool amd = d->vendor == RF_GPU_AMD;
    const char *missing = NULL;
#define X(field, args, cuda, hip)                             \
    if (!find(d->library, amd ? hip : cuda, &d->calls.field)) \
        missing = amd ? hip : cuda;
#include "gpu/driver_calls.def"
#undef X
    if (!find(d->library, amd ? "" : "cuGetErrorName", &d->cuda_error) ||
        !find(d->library, amd ? "hipGetErrorName" : "", &d->hip_error))
        missing = amd ? "hipGetErrorName" : "cuGetErrorName";
    return missing ? rf_fail(err, RF_ERR_UNSUPPORTED,
                             "%s has no %s: the driver is too old, expected %s or later",
                             d->base.api.file, missing, amd ? "ROCm 5" : "CUDA 12.0")
                   : RF_OK;
}

static rf_status find_library(rf_gpu_driver *d, rf_error *err) {
    const vendor_row *row = &vendors[d->vendor];
    for (size_t i = 0; row->libraries[i]; i++) {
        d->library = dlopen(row->libraries[i], RTLD_NOW | RTLD_LOCAL);
        d->base.api.file = row->libraries[i];
        if (d->library)
            return RF_OK;
    }
    return rf_fail(err, RF_ERR_NOT_FOUND, "no %s driver: %s is not installed", row->name,
                   row->libraries[0]);
}

static int attribute(const rf_gpu_driver *d, int which, int device) {
    int value = 0;
    return d->calls.attribute(&value, which, device) == 0 ? value : 0;
}

/* What AMD's library tells only in a struct that changes with its version is in the kernel's table.
 */
static void learn_amd(rf_gpu_info *info) {
    rf_amd_node node;
    if (!rf_amd_topology_find(RF_AMD_TOPOLOGY, info->pci, &node))
        return;
    memcpy(info->arch, node.arch, sizeof info->arch);
    info->n_units = node.n_units;
    info->wave = node.wave;
    info->integrated = node.integrated;
}

static rf_status learn_device(rf_gpu_driver *d, int device, rf_error *err) {
    rf_gpu_info *info = &d->info[device];
    size_t total = 0;
    RF_TRY(rf_gpu_driver_check(d, device, "asking for its name",
                               d->calls.name(info->name, RF_GPU_NAME_BYTES, device), err));
    RF_TRY(
        rf_gpu_driver_check(d, device, "asking for its size", d->calls.total(&total, device), err));
    (void)d->calls.pci(info->pci, RF_GPU_PCI_BYTES, device);
    for (char *c = info->pci; *c; c++) /* as /sys spells it */
        *c = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
    info->total_bytes = total;
    if (d->vendor == RF_GPU_AMD) {
        learn_amd(info);
        return RF_OK;
    }
    info->n_units = (uint32_t)attribute(d, ATTR_UNITS, device);
    info->wave = (uint32_t)attribute(d, ATTR_WARP, device);
    info->integrated = attribute(d, ATTR_INTEGRATED, device) != 0;
    (void)snprintf(info->arch, sizeof info->arch, "sm_%d%d", attribute(d, ATTR_MAJOR, device),
                   attribute(d, ATTR_MINOR, device));
    return RF_OK;
}

static rf_status start(rf_gpu_driver *d, rf_error *err) {
    bool amd = d->vendor == RF_GPU_AMD;
    RF_TRY(find_library(d, err));
    RF_TRY(find_calls(d, err));
    int code = d->calls.init(0);
    if (code == NO_DEVICE || code == INVALID_DEVICE)
        return RF_OK;
    if (code != 0)
        return rf_gpu_driver_fail(d, RF_ERR_UNSUPPORTED, -1, "starting the driver", code, err);
    RF_TRY(rf_gpu_driver_check(d, -1, "asking for its version", d->calls.version(&d->base.version),
                               err));
    if (d->base.version < (amd ? HIP_LEAST : CUDA_LEAST))
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "the %s driver has version %d, expected at least %d: install a newer one",
                       vendors[d->vendor].name, d->base.version, amd ? HIP_LEAST : CUDA_LEAST);
    code = d->calls.count(&d->base.n_devices);
    if (code == NO_DEVICE || d->base.n_devices <= 0) {
        d->base.n_devices = 0;
        return RF_OK;
    }
    RF_TRY(rf_gpu_driver_check(d, -1, "counting devices", code, err));
    size_t n = (size_t)d->base.n_devices;
    d->info = rf_calloc(n, sizeof *d->info);
    d->contexts = rf_calloc(n, sizeof *d->contexts);
    if (!d->info || !d->contexts)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu devices", n);
    d->base.info = d->info;
    for (int i = 0; i < d->base.n_devices; i++)
        RF_TRY(learn_device(d, i, err));
    return RF_OK;
}

rf_status rf_gpu_driver_open(rf_gpu_vendor vendor, rf_gpu **out, rf_error *err) {
    rf_gpu_driver *d = rf_calloc(1, sizeof *d);
    if (!d)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a driver");
    d->vendor = vendor;
    d->base.api = (rf_gpu_api){
        .name = vendors[vendor].api,
        .attach = attach,
        .detach = detach,
        .memory = memory,
        .alloc = alloc,
        .release = release,
        .pin = pin,
        .unpin = unpin,
        .stream_create = stream_create,
        .stream_destroy = stream_destroy,
        .stream_wait = stream_wait,
        .event_create = event_create,
        .event_destroy = event_destroy,
        .event_record = event_record,
        .event_wait = event_wait,
        .event_elapsed = event_elapsed,
        .copy = copy,
        .clear = clear,
        .destroy = destroy,
    };
    rf_gpu_driver_add_code(&d->base.api);
    rf_status status = start(d, err);
    if (status != RF_OK) {
        destroy(&d->base);
        return status;
    }
    *out = &d->base;
    return RF_OK;
}
