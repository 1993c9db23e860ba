/*
 * Files that hold a sequence's tokens and what the cache knows of them, so that another process may
 * go on where this one stopped, bit for bit as if it had not. A client of the engine: it knows no
 * blocks of its own, and the engine no files. One thread for each call.
 *
 * A file belongs to a model (its hash), a backend and types of cache; one of others is refused, and
 * so is a damaged one, before anything of it is loaded. Whoever can write the file decides what the
 * model sees before a prompt that begins with its tokens.
 */
#ifndef RF_ENGINE_SEQUENCE_FILE_H
#define RF_ENGINE_SEQUENCE_FILE_H

#include "engine/engine.h"

typedef rf_status (*rf_sequence_take_fn)(void *user, const rf_event *event, rf_error *err);

/* The engine as this client needs it. */
typedef struct rf_sequence_port {
    rf_engine *engine;
    uint64_t model_hash; /* rf_gguf_hash */
    uint64_t salt;       /* of the requests that share the prefix */
    /* Submits a request, calls take with its last event while what that points at is valid, and
     * fails if it has failed. NULL: rf_engine_submit and rf_engine_next, when nobody else has
     * requests there. */
    rf_status (*run)(void *user, const rf_request *request, rf_sequence_take_fn take,
                     void *take_user, rf_error *err);
    void *user; /* run's */
} rf_sequence_port;

typedef struct rf_sequence_size {
    uint32_t n_tokens; /* in the file: as many of those given as the cache has */
    uint64_t n_bytes;  /* of the file */
} rf_sequence_size;

/* Writes what the cache holds of tokens to a file that appears whole or not at all.
 * RF_ERR_NOT_FOUND when that is nothing; RF_ERR_LIMIT when it went while it was being read. */
RF_NODISCARD rf_status rf_sequence_save(const rf_sequence_port *port, const char *path,
                                        const int32_t *tokens, uint32_t n_tokens,
                                        rf_sequence_size *out, rf_error *err);
/* Brings it back into the cache, where requests find it like any prefix that was computed; nobody
 * holds it, so that it goes when others need the room. *out_tokens (or NULL) is the caller's
 * (rf_free), [out->n_tokens]. */
RF_NODISCARD rf_status rf_sequence_load(const rf_sequence_port *port, const char *path,
                                        int32_t **out_tokens, rf_sequence_size *out, rf_error *err);

#endif
