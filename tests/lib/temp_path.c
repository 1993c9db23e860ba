#include "tests/lib/temp_path.h"

#include <stdlib.h>
#include <unistd.h>

char temp_path[] = "/tmp/rf_test_XXXXXX";

int temp_path_make(void **state) {
    (void)state;
    int fd = mkstemp(temp_path);
    return fd < 0 ? -1 : close(fd);
}

int temp_path_drop(void **state) {
    (void)state;
    return unlink(temp_path);
}
