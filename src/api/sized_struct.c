#include "api/sized_struct.h"

#include <string.h>

/* Beyond this a struct_size is no size but what lay there before. */
enum { SIZE_MAX_BYTES = 4096 };

static const struct {
    const char *name;
    size_t first_bytes, bytes;
} structs[] = {
#define X(name, first_bytes) {#name, first_bytes, sizeof(rocmforge_##name)},
#include "api/structs.def"
#undef X
};

#define X(name, first_bytes)                                                        \
    _Static_assert(sizeof(rocmforge_##name) >= (first_bytes), "structs only grow"); \
    _Static_assert(offsetof(rocmforge_##name, struct_size) == 0, "the size comes first");
#include "api/structs.def"
#undef X

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

rocmforge_status rf_api_struct_check(rf_api_struct kind, const void *given) {
    size_t size;
    if (!given)
        return rf_api_misuse(ROCMFORGE_RULE_NULL, "rocmforge_%s is NULL", structs[kind].name);
    memcpy(&size, given, sizeof size);
    if (size >= structs[kind].first_bytes && size <= SIZE_MAX_BYTES)
        return ROCMFORGE_OK;
    return rf_api_misuse(ROCMFORGE_RULE_STRUCT_SIZE,
                         "rocmforge_%s has a struct_size of %zu, expected %zu (at least %zu)",
                         structs[kind].name, size, structs[kind].bytes, structs[kind].first_bytes);
}

rocmforge_status rf_api_struct_read(rf_api_struct kind, const void *given, void *out) {
    size_t size, known = structs[kind].bytes;
    memset(out, 0, known);
    memcpy(out, &known, sizeof known);
    if (!given)
        return ROCMFORGE_OK;
    RF_API_TRY(rf_api_struct_check(kind, given));
    memcpy(&size, given, sizeof size);
    const unsigned char *bytes = given;
    for (size_t i = known; i < size; i++)
        if (bytes[i] != 0)
            return rf_api_misuse(ROCMFORGE_RULE_STRUCT_NEWER,
                                 "rocmforge_%s has %zu bytes, byte %zu is not zero, and version "
                                 "%s knows %zu of them",
                                 structs[kind].name, size, i, ROCMFORGE_VERSION, known);
    memcpy(out, given, least(size, known));
    return ROCMFORGE_OK;
}

void rf_api_struct_write(rf_api_struct kind, const void *from, void *given) {
    size_t size, known = structs[kind].bytes;
    memcpy(&size, given, sizeof size);
    memset(given, 0, size);
    memcpy(given, from, least(size, known));
    memcpy(given, &size, sizeof size);
}

size_t rocmforge_struct_size(const char *name) {
    for (size_t i = 0; name && i < RF_API_STRUCT_COUNT; i++)
        if (strcmp(structs[i].name, name) == 0)
            return structs[i].bytes;
    return 0;
}
