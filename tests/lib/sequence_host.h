/*
 * An engine on the tiny program whose sequences are saved to temp_path and loaded from it, with the
 * rows of logits that it had. Test code; what cannot be gone on from ends the program.
 */
#ifndef RF_TESTS_SEQUENCE_HOST_H
#define RF_TESTS_SEQUENCE_HOST_H

#include "engine/sequence_file.h"
#include "tests/lib/faulty_backend.h"
#include "tests/lib/tiny_program.h"

enum { HOST_CONTEXT = 256, HOST_HASH = 77, HOST_SALT = 3 };

typedef struct host {
    faulty_backend backend;
    rf_engine *engine;
    float rows[HOST_CONTEXT][TINY_VOCAB]; /* by position */
    uint32_t n_rows;
    rf_error err; /* of what failed last */
} host;

void host_open(host *h, const tiny_program *tiny, rf_engine_options options);
void host_close(host *h);
rf_sequence_port host_port(const host *h);
void host_make_tokens(int32_t *tokens, uint32_t n);
uint64_t host_submit(host *h, const int32_t *tokens, uint32_t n, uint32_t n_new);
/* Tokens that follow go behind the prompt; returns how many of it were cached. */
uint32_t host_go_on(host *h, int32_t *tokens, uint32_t n, uint32_t n_new);
uint32_t host_cached(host *h, const int32_t *tokens, uint32_t n);
rf_sequence_size host_save(host *h, const int32_t *tokens, uint32_t n);
rf_status host_load(host *h, int32_t **tokens, rf_sequence_size *size);
/* Loading fails, says text, and leaves nothing of the tokens in the cache. */
bool host_refuses(host *h, const int32_t *tokens, uint32_t n, const char *text);

#endif
