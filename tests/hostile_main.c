/*
 * hostile OUTDIR [FAMILY]: writes every hostile file (or one family's) as
 * OUTDIR/FAMILY-VARIANT.gguf and lists them in OUTDIR/index.tsv: file, layer that must refuse it.
 * Runs from the repository.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/lib/hostile_gguf.h"

static bool write_file(const char *folder, const hostile_family *family, uint32_t variant,
                       FILE *index) {
    char path[4096];
    rf_buf file;
    rf_buf_init(&file, 64 << 20);
    bool ok = hostile_make(family, variant, &file);
    (void)snprintf(path, sizeof path, "%s/%s-%02u.gguf", folder, family->name, variant);
    FILE *out = ok ? fopen(path, "wb") : NULL;
    ok = out && fwrite(file.data, 1, file.len, out) == file.len;
    if (out && fclose(out) != 0)
        ok = false;
    rf_buf_deinit(&file);
    if (!ok)
        (void)fprintf(stderr, "%s: cannot write\n", path);
    return ok && fprintf(index, "%s-%02u.gguf\t%s\n", family->name, variant,
                         hostile_layer_name(family->layer)) > 0;
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        (void)fprintf(stderr, "usage: %s OUTDIR [FAMILY]\n", argv[0]);
        return 2;
    }
    char path[4096];
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST) {
        perror(argv[1]);
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/index.tsv", argv[1]);
    FILE *index = fopen(path, "w");
    bool ok = index != NULL;
    for (size_t i = 0; ok && i < hostile_n_families; i++)
        if (argc == 2 || strcmp(argv[2], hostile_families[i].name) == 0)
            for (uint32_t variant = 0; ok && variant < hostile_families[i].n_variants; variant++)
                ok = write_file(argv[1], &hostile_families[i], variant, index);
    if (index && fclose(index) != 0)
        ok = false;
    return ok ? 0 : 1;
}
