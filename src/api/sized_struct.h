/*
 * Structs of the caller's that begin with struct_size and may come from another version's header.
 * Pure; any thread.
 */
#ifndef RF_API_SIZED_STRUCT_H
#define RF_API_SIZED_STRUCT_H

#include "api/failure.h"

typedef enum rf_api_struct {
#define X(name, first_bytes) RF_API_STRUCT_##name,
#include "api/structs.def"
#undef X
    RF_API_STRUCT_COUNT
} rf_api_struct;

/* Copies the caller's struct into *out (this library's, zeroed where the caller's ends). NULL: all
 * defaults. */
RF_NODISCARD rocmforge_status rf_api_struct_read(rf_api_struct kind, const void *given, void *out);
/* Whether a struct can be filled, before anything is done. */
RF_NODISCARD rocmforge_status rf_api_struct_check(rf_api_struct kind, const void *given);
/* Fills the caller's checked struct from this library's and keeps its struct_size. */
void rf_api_struct_write(rf_api_struct kind, const void *from, void *given);

#endif
