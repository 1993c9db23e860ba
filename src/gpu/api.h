/*
 * The one way to a GPU: a table of calls that names its device each time and knows no default
 * stream. gpu/driver.h fills it from a vendor's driver library. Any thread; one thread at a time on
 * a stream. Sizes are bytes. Nothing here ends the process: a driver's refusal is a status whose
 * text tells the call, the device, the driver's word for it and, where it is known, what to do.
 */
#ifndef RF_GPU_API_H
#define RF_GPU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { RF_GPU_NAME_BYTES = 128, RF_GPU_ARCH_BYTES = 16, RF_GPU_PCI_BYTES = 16 };

typedef uint64_t rf_gpu_address;             /* in a device's memory; 0: none */
typedef struct rf_gpu_stream *rf_gpu_stream; /* a driver's own handle */
typedef struct rf_gpu_event *rf_gpu_event;
typedef struct rf_gpu_module *rf_gpu_module;     /* loaded code */
typedef struct rf_gpu_function *rf_gpu_function; /* a kernel of it, valid as long as it */
typedef struct rf_gpu_graph *rf_gpu_graph;       /* what a stream was given, to be given again */

typedef struct rf_gpu_launch {
    rf_gpu_function function;
    uint32_t grid[3]; /* blocks, each 1 at least */
    uint32_t n_threads;
    const void *args; /* the kernel's one struct, read before launch returns */
} rf_gpu_launch;

/* What a device is; plain values, known once the driver is open. 0: unknown. */
typedef struct rf_gpu_info {
    char name[RF_GPU_NAME_BYTES];
    char arch[RF_GPU_ARCH_BYTES]; /* "sm_90", "gfx942" */
    char pci[RF_GPU_PCI_BYTES];   /* "0000:65:00.0" */
    uint64_t total_bytes;
    uint32_t n_units; /* multiprocessors or compute units */
    uint32_t wave;    /* threads that run in step: 32 or 64 */
    bool integrated;  /* its memory is the host's */
} rf_gpu_info;

typedef enum rf_gpu_copy_kind {
    RF_GPU_TO_DEVICE,
    RF_GPU_TO_HOST,
    RF_GPU_INSIDE, /* from a device's memory to the same device's */
    RF_GPU_COPY_KIND_COUNT
} rf_gpu_copy_kind;

typedef struct rf_gpu rf_gpu;

typedef struct rf_gpu_api {
    const char *name; /* "cuda", "hip" */
    const char *file; /* the driver's, which was found */
    /* Before anything else on a device: takes its context. One attach, one detach. */
    rf_status (*attach)(rf_gpu *gpu, int device, rf_error *err);
    void (*detach)(rf_gpu *gpu, int device);
    /* Other processes' memory counts as taken. */
    rf_status (*memory)(rf_gpu *gpu, int device, uint64_t *free_bytes, uint64_t *total_bytes,
                        rf_error *err);
    /* RF_ERR_NO_MEMORY names the bytes that were asked for. */
    rf_status (*alloc)(rf_gpu *gpu, int device, size_t bytes, rf_gpu_address *out, rf_error *err);
    void (*release)(rf_gpu *gpu, int device, rf_gpu_address address);
    /* Host memory that copies run beside the host from. */
    rf_status (*pin)(rf_gpu *gpu, int device, size_t bytes, void **out, rf_error *err);
    void (*unpin)(rf_gpu *gpu, int device, void *memory);
    rf_status (*stream_create)(rf_gpu *gpu, int device, rf_gpu_stream *out, rf_error *err);
    void (*stream_destroy)(rf_gpu *gpu, int device, rf_gpu_stream stream);
    rf_status (*stream_wait)(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_error *err);
    rf_status (*event_create)(rf_gpu *gpu, int device, rf_gpu_event *out, rf_error *err);
    void (*event_destroy)(rf_gpu *gpu, int device, rf_gpu_event event);
    rf_status (*event_record)(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_event event,
                              rf_error *err);
    rf_status (*event_wait)(rf_gpu *gpu, int device, rf_gpu_event event, rf_error *err);
    /* Between two events that have happened. */
    rf_status (*event_elapsed)(rf_gpu *gpu, int device, rf_gpu_event from, rf_gpu_event to,
                               uint64_t *ns, rf_error *err);
    /* Queued on the stream. Addresses of the host are pinned memory, as numbers. */
    rf_status (*copy)(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_copy_kind kind,
                      uint64_t to, uint64_t from, size_t bytes, rf_error *err);
    /* Zeros. */
    rf_status (*clear)(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_address at,
                       size_t bytes, rf_error *err);
    /* image: PTX that ends with a 0, or a code object of the device's kind; read here alone. */
    rf_status (*module_load)(rf_gpu *gpu, int device, const void *image, rf_gpu_module *out,
                             rf_error *err);
    void (*module_unload)(rf_gpu *gpu, int device, rf_gpu_module module);
    rf_status (*function_find)(rf_gpu *gpu, int device, rf_gpu_module module, const char *name,
                               rf_gpu_function *out, rf_error *err);
    rf_status (*launch)(rf_gpu *gpu, int device, rf_gpu_stream stream, const rf_gpu_launch *launch,
                        rf_error *err);
    /* Between the two, what the stream is given is kept and does not run. */
    rf_status (*capture_begin)(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_error *err);
    rf_status (*capture_end)(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_graph *out,
                             rf_error *err);
    rf_status (*graph_launch)(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_graph graph,
                              rf_error *err);
    void (*graph_destroy)(rf_gpu *gpu, int device, rf_gpu_graph graph);
    void (*destroy)(rf_gpu *gpu); /* after every detach; NULL is a no-op */
} rf_gpu_api;

/* Every driver's struct begins with this. */
struct rf_gpu {
    rf_gpu_api api;
    int version; /* of the driver's interface: 13000 is CUDA 13.0 */
    int n_devices;
    const rf_gpu_info *info; /* [n_devices] */
};

#endif
