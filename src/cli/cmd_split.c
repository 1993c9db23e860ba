#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/gguf_copy.h"
#include "cli/output.h"

enum { PATH_BYTES = 4096, MAX_PARTS = 1024 };

typedef struct splitting {
    const rf_options *options;
    const rf_gguf *in;
    const char *prefix;
    size_t first[MAX_PARTS + 1]; /* tensor that each part starts with, and the end */
    uint32_t n_parts;
} splitting;

/* Cuts before a tensor that would make the part too many or too large; one tensor always fits. */
static rf_status plan(splitting *job, rf_error *err) {
    uint64_t most_tensors = (uint64_t)rf_opt_int(job->options, RF_OPT_SPLIT_MAX_TENSORS);
    uint64_t most_bytes = (uint64_t)rf_opt_int(job->options, RF_OPT_SPLIT_MAX_SIZE), bytes = 0;
    size_t n = rf_gguf_n_tensors(job->in);
    job->n_parts = 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t more = rf_gguf_tensor_at(job->in, i)->bytes;
        size_t held = i - job->first[job->n_parts - 1];
        bool full = (most_tensors && held >= most_tensors) ||
                    (most_bytes && held > 0 && bytes + more > most_bytes);
        if (full && job->n_parts == MAX_PARTS)
            return rf_fail(err, RF_ERR_USAGE,
                           "split: found limits that make more than %d parts, expected larger ones",
                           MAX_PARTS);
        if (full) {
            job->first[job->n_parts++] = i;
            bytes = 0;
        }
        bytes += more;
    }
    job->first[job->n_parts] = n;
    return RF_OK;
}

static rf_status name_part(const splitting *job, uint32_t part, char path[PATH_BYTES],
                           rf_error *err) {
    int n = snprintf(path, PATH_BYTES, "%s-%05u-of-%05u.gguf", job->prefix, part + 1, job->n_parts);
    return n > 0 && n < PATH_BYTES ? RF_OK
                                   : rf_fail(err, RF_ERR_USAGE, "split: found a name too long");
}

static rf_status fill_part(const splitting *job, uint32_t part, rf_gguf_writer *writer,
                           rf_error *err) {
    uint16_t numbers[2] = {(uint16_t)part, (uint16_t)job->n_parts};
    int32_t n_tensors = (int32_t)rf_gguf_n_tensors(job->in);
    const struct {
        const char *name;
        rf_gguf_type type;
        const void *data;
        uint64_t bytes;
    } keys[] = {{"split.no", RF_GGUF_U16, &numbers[0], 2},
                {"split.count", RF_GGUF_U16, &numbers[1], 2},
                {"split.tensors.count", RF_GGUF_I32, &n_tensors, 4}};
    if (part == 0)
        RF_TRY(rf_copy_keys(job->options, job->in, writer, err));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        rf_gguf_key key = {.name = rf_str_of(keys[i].name),
                           .type = keys[i].type,
                           .item_type = keys[i].type,
                           .n_items = 1,
                           .data = keys[i].data,
                           .data_bytes = keys[i].bytes};
        rf_gguf_writer_copy_key(writer, &key);
    }
    for (size_t i = job->first[part]; i < job->first[part + 1]; i++)
        rf_copy_tensor(writer, rf_gguf_tensor_at(job->in, i));
    return RF_OK;
}

static rf_status write_part(const splitting *job, uint32_t part, const char *path, rf_error *err) {
    rf_gguf_writer *writer = NULL;
    RF_TRY(rf_gguf_writer_create((uint32_t)rf_gguf_alignment(job->in), &writer, err));
    rf_status status = fill_part(job, part, writer, err);
    if (status == RF_OK)
        status = rf_gguf_writer_finish(writer, path, err);
    rf_gguf_writer_destroy(writer);
    return status;
}

static rf_status split(splitting *job, rf_error *err) {
    char path[PATH_BYTES];
    rf_status status = RF_OK;
    uint32_t part = 0;
    RF_TRY(plan(job, err));
    for (; part < job->n_parts; part++) {
        RF_TRY(name_part(job, part, path, err));
        RF_TRY(rf_check_parts_apart(job->in, path, err));
    }
    for (part = 0; part < job->n_parts && status == RF_OK; part++) {
        status = name_part(job, part, path, err);
        if (status == RF_OK)
            status = write_part(job, part, path, err);
    }
    if (status == RF_OK && !rf_opt_on(job->options, RF_OPT_QUIET))
        rf_note("%s: %u part%s", path, job->n_parts, job->n_parts == 1 ? "" : "s");
    rf_error ignored = {0};
    for (part = status == RF_OK ? 0 : part - 1; status != RF_OK && part-- > 0;) /* no half sets */
        if (name_part(job, part, path, &ignored) == RF_OK)
            (void)unlink(path);
    return status;
}

rf_status rf_cmd_split(rf_cli *cli, rf_error *err) {
    rf_gguf *in = NULL;
    splitting job = {.options = &cli->options, .prefix = cli->options.args[1]};
    RF_TRY(rf_gguf_open(cli->options.args[0], NULL, &in, err));
    job.in = in;
    rf_status status = split(&job, err);
    rf_gguf_close(in);
    return status;
}
