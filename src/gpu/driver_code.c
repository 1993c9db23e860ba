#include <stdio.h>

#include "gpu/driver_state.h"

enum { CAPTURE_THREAD = 1 }; /* only this thread's calls may disturb a recording */

static rf_status module_load(rf_gpu *gpu, int device, const void *image, rf_gpu_module *out,
                             rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "loading kernels", err);
    return rf_gpu_driver_check(d, device, "loading kernels",
                               d->calls.module_load((void **)out, image), err);
}

static void module_unload(rf_gpu *gpu, int device, rf_gpu_module module) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    if (module && rf_gpu_driver_use(d, device) == 0)
        (void)d->calls.module_unload(module);
}

static rf_status function_find(rf_gpu *gpu, int device, rf_gpu_module module, const char *name,
                               rf_gpu_function *out, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    char what[96];
    (void)snprintf(what, sizeof what, "finding the kernel %s", name);
    RF_GPU_USE(d, device, what, err);
    return rf_gpu_driver_check(d, device, what, d->calls.function_find((void **)out, module, name),
                               err);
}

static rf_status launch(rf_gpu *gpu, int device, rf_gpu_stream stream, const rf_gpu_launch *how,
                        rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    void *args[] = {(void *)(uintptr_t)how->args}; /* the driver copies from there */
    RF_GPU_USE(d, device, "launching a kernel", err);
    return rf_gpu_driver_check(d, device, "launching a kernel",
                               d->calls.launch(how->function, how->grid[0], how->grid[1],
                                               how->grid[2], how->n_threads, 1, 1, 0, stream, args,
                                               NULL),
                               err);
}

static rf_status capture_begin(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "recording a graph", err);
    return rf_gpu_driver_check(d, device, "recording a graph",
                               d->calls.capture_begin(stream, CAPTURE_THREAD), err);
}

static rf_status capture_end(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_graph *out,
                             rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    void *graph = NULL;
    *out = NULL;
    RF_GPU_USE(d, device, "recording a graph", err);
    RF_TRY(rf_gpu_driver_check(d, device, "recording a graph", d->calls.capture_end(stream, &graph),
                               err));
    int code = d->calls.graph_make((void **)out, graph, 0);
    (void)d->calls.graph_forget(graph);
    return rf_gpu_driver_check(d, device, "making a graph", code, err);
}

static rf_status graph_launch(rf_gpu *gpu, int device, rf_gpu_stream stream, rf_gpu_graph graph,
                              rf_error *err) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    RF_GPU_USE(d, device, "launching a graph", err);
    return rf_gpu_driver_check(d, device, "launching a graph", d->calls.graph_launch(graph, stream),
                               err);
}

static void graph_destroy(rf_gpu *gpu, int device, rf_gpu_graph graph) {
    rf_gpu_driver *d = (rf_gpu_driver *)gpu;
    if (graph && rf_gpu_driver_use(d, device) == 0)
        (void)d->calls.graph_destroy(graph);
}

void rf_gpu_driver_add_code(rf_gpu_api *api) {
    api->module_load = module_load;
    api->module_unload = module_unload;
    api->function_find = function_find;
    api->launch = launch;
    api->capture_begin = capture_begin;
    api->capture_end = capture_end;
    api->graph_launch = graph_launch;
    api->graph_destroy = graph_destroy;
}
