/* Runs the files named as arguments through a fuzz target, as libFuzzer would: corpora as tests. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/lib/golden.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int main(int argc, char **argv) {
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s FILE…\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        golden_file file = golden_read(argv[i]);
        if (!file.bytes)
            return 1;
        (void)printf("%s\n", argv[i]);
        (void)fflush(stdout);              /* the name of the file that crashes is the last line */
        uint8_t *exact = rf_alloc(file.n); /* so that a sanitizer sees the byte after the last */
        if (!exact)
            return 1;
        memcpy(exact, file.bytes, file.n);
        (void)LLVMFuzzerTestOneInput(exact, file.n);
        rf_free(exact);
        golden_free(&file);
    }
    return 0;
}
