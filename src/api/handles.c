#include "api/handles.h"

#include <pthread.h>

#include "base/alloc.h"

/* A handle's bits: 36 of the generation, 24 of the row, 4 that no address of an object has. */
enum { TAG_BITS = 4, ROW_BITS = 24, TAG = 5, ROWS_MAX = 1 << ROW_BITS };

_Static_assert(sizeof(void *) == 8, "handles hold 64 bits");

typedef struct row {
    uint64_t generation; /* of the handle that is open, or that will be the next */
    rf_object *object;   /* NULL: closed */
    rf_handle_kind kind; /* of the last handle */
    uint32_t next_free;  /* row + 1, or 0 */
} row;

/* The library's only state besides the log callback. Rows stay, so that closed handles are known.
 */
static struct {
    pthread_mutex_t lock;
    row *rows;
    uint32_t n, cap, first_free;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const kind_names[] = {"model", "engine", "request"};

static void *encode(uint64_t generation, uint32_t i) {
    uint64_t bits = generation << (TAG_BITS + ROW_BITS) | (uint64_t)i << TAG_BITS | TAG;
    return (void *)(uintptr_t)bits;
}

void rf_object_init(rf_object *object, rf_handle_kind kind, void (*destroy)(rf_object *object)) {
    *object = (rf_object){.kind = kind, .n_holders = 1, .destroy = destroy};
}

void rf_object_hold(rf_object *object) {
    pthread_mutex_lock(&table.lock);
    object->n_holders++;
    pthread_mutex_unlock(&table.lock);
}

void rf_object_drop(rf_object *object) {
    if (!object)
        return;
    pthread_mutex_lock(&table.lock);
    bool last = --object->n_holders == 0;
    pthread_mutex_unlock(&table.lock);
    if (last)
        object->destroy(object);
}

static bool grow(void) {
    uint32_t cap = table.cap ? 2 * table.cap : 64;
    row *rows = cap <= ROWS_MAX ? rf_realloc_array(table.rows, cap, sizeof *rows) : NULL;
    if (!rows)
        return false;
    table.rows = rows;
    table.cap = cap;
    return true;
}

rocmforge_status rf_handle_make(rf_object *object, void **out) {
    pthread_mutex_lock(&table.lock);
    bool ok = table.first_free > 0 || table.n < table.cap || grow();
    if (ok) {
        uint32_t i = table.first_free > 0 ? table.first_free - 1 : table.n;
        if (i == table.n)
            table.rows[table.n++] = (row){.generation = 1};
        else
            table.first_free = table.rows[i].next_free;
        table.rows[i].object = object;
        table.rows[i].kind = object->kind;
        object->n_holders++;
        *out = encode(table.rows[i].generation, i);
    }
    pthread_mutex_unlock(&table.lock);
    return ok ? ROCMFORGE_OK : rf_api_fail(ROCMFORGE_NO_MEMORY, "out of memory for a handle");
}

/* With the table's lock. */
static rocmforge_status look_up(const void *handle, rf_handle_kind kind, row **out) {
    const char *name = kind_names[kind];
    if (!handle)
        return rf_api_misuse(ROCMFORGE_RULE_NULL, "the %s is NULL", name);
    uint64_t bits = (uint64_t)(uintptr_t)handle;
    uint64_t i = bits >> TAG_BITS & (ROWS_MAX - 1), generation = bits >> (TAG_BITS + ROW_BITS);
    if ((bits & ((1 << TAG_BITS) - 1)) != TAG || i >= table.n || generation == 0 ||
        generation > table.rows[i].generation ||
        (generation == table.rows[i].generation && !table.rows[i].object))
        return rf_api_misuse(ROCMFORGE_RULE_HANDLE, "%p is no handle of a %s", handle, name);
    row *found = &table.rows[i];
    if (generation < found->generation)
        return rf_api_misuse(ROCMFORGE_RULE_HANDLE_CLOSED, "the %s was closed before", name);
    if (found->kind != kind)
        return rf_api_misuse(ROCMFORGE_RULE_HANDLE_KIND, "found the handle of a %s, expected a %s",
                             kind_names[found->kind], name);
    *out = found;
    return ROCMFORGE_OK;
}

rocmforge_status rf_handle_take(const void *handle, rf_handle_kind kind, rf_object **out) {
    row *found = NULL;
    pthread_mutex_lock(&table.lock);
    rocmforge_status status = look_up(handle, kind, &found);
    if (status == ROCMFORGE_OK) {
        found->object->n_holders++;
        *out = found->object;
    }
    pthread_mutex_unlock(&table.lock);
    return status;
}

rocmforge_status rf_handle_close(const void *handle, rf_handle_kind kind, rf_object **out) {
    row *found = NULL;
    pthread_mutex_lock(&table.lock);
    rocmforge_status status = look_up(handle, kind, &found);
    if (status == ROCMFORGE_OK && found->object->n_children > 0)
        status = rf_api_misuse(ROCMFORGE_RULE_ORDER, "the %s has %u open %s%s", kind_names[kind],
                               found->object->n_children, kind_names[RF_HANDLE_ENGINE],
                               found->object->n_children > 1 ? "s" : "");
    if (status == ROCMFORGE_OK) {
        *out = found->object;
        found->object->closed = true;
        found->object = NULL;
        found->generation++;
        found->next_free = table.first_free;
        table.first_free = (uint32_t)(found - table.rows) + 1;
    }
    pthread_mutex_unlock(&table.lock);
    return status;
}

rocmforge_status rf_object_adopt(rf_object *parent) {
    pthread_mutex_lock(&table.lock);
    bool closed = parent->closed;
    parent->n_children += !closed;
    pthread_mutex_unlock(&table.lock);
    return closed ? rf_api_misuse(ROCMFORGE_RULE_HANDLE_CLOSED, "the %s was closed meanwhile",
                                  kind_names[parent->kind])
                  : ROCMFORGE_OK;
}

void rf_object_disown(rf_object *parent) {
    pthread_mutex_lock(&table.lock);
    parent->n_children--;
    pthread_mutex_unlock(&table.lock);
}
