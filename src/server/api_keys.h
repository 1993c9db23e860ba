/*
 * API keys, each with a name for the log. Filled at start, then read by any thread.
 */
#ifndef RF_SERVER_API_KEYS_H
#define RF_SERVER_API_KEYS_H

#include "base/status.h"
#include "base/str.h"

enum { RF_API_KEY_BYTES = 256, RF_API_KEYS_MAX = 1024, RF_API_KEY_NAME_BYTES = 64 };

typedef struct rf_api_key {
    char name[RF_API_KEY_NAME_BYTES];
    char secret[RF_API_KEY_BYTES]; /* padded with zeros */
    size_t n_secret;
} rf_api_key;

typedef struct rf_api_keys {
    rf_api_key *list; /* owned */
    size_t n;
} rf_api_keys;

/* A key is printable ASCII without blanks, at most RF_API_KEY_BYTES - 1 of it. */
RF_NODISCARD rf_status rf_api_keys_add(rf_api_keys *keys, rf_str name, rf_str secret,
                                       rf_error *err);
/* Lines of a file: "secret" or "name:secret"; empty ones and those that begin with # are skipped.
 */
RF_NODISCARD rf_status rf_api_keys_read(rf_api_keys *keys, rf_str text, rf_error *err);
void rf_api_keys_deinit(rf_api_keys *keys); /* wipes; safe on a zeroed one */

/* The key that a secret belongs to, or NULL. Takes the same time whatever it is given. */
const rf_api_key *rf_api_keys_find(const rf_api_keys *keys, rf_str secret);

#endif
