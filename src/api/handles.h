/*
 * The table behind the library's handles. A handle is a number that looks like a pointer: index and
 * generation of a row, never an address, so that a closed, foreign or null one is recognised
 * without touching memory. Objects are counted: each call that uses one holds it, and it is
 * destroyed when it is closed and nobody holds it any more. Any thread.
 */
#ifndef RF_API_HANDLES_H
#define RF_API_HANDLES_H

#include "api/failure.h"

typedef enum rf_handle_kind {
    RF_HANDLE_MODEL,
    RF_HANDLE_ENGINE,
    RF_HANDLE_REQUEST,
    RF_HANDLE_COUNT
} rf_handle_kind;

/* Every object begins with this. Guarded by the table's lock. */
typedef struct rf_object {
    rf_handle_kind kind;
    uint32_t n_holders;
    uint32_t n_children; /* objects that must be closed before */
    bool closed;
    void (*destroy)(struct rf_object *object);
} rf_object;

/* Made with one holder: whoever calls. */
void rf_object_init(rf_object *object, rf_handle_kind kind, void (*destroy)(rf_object *object));
void rf_object_hold(rf_object *object);
void rf_object_drop(rf_object *object); /* the last one destroys; NULL is a no-op */

/* Gives an object a handle; the table is a further holder. */
RF_NODISCARD rocmforge_status rf_handle_make(rf_object *object, void **out);
/* The object, held for the caller. */
RF_NODISCARD rocmforge_status rf_handle_take(const void *handle, rf_handle_kind kind,
                                             rf_object **out);
/* Ends the handle; the table's hold goes to the caller. */
RF_NODISCARD rocmforge_status rf_handle_close(const void *handle, rf_handle_kind kind,
                                              rf_object **out);

/* A child of an object that is held; fails once that was closed. */
RF_NODISCARD rocmforge_status rf_object_adopt(rf_object *parent);
void rf_object_disown(rf_object *parent);

#endif
