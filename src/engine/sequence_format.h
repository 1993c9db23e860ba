/*
 * The layout of a sequence file; private to engine/. All of it in the machine's byte order, which
 * the head tells:
 *
 *   head; tokens [n_tokens]; their sum; for each block number from first_column on: its contents in
 *   the groups that have it, group after group, and their sum; the sum of all sums
 *
 * Sums are SipHash of 64 bits under the model's hash and a number (0: the tokens, 1 + i: block i),
 * so that parts of other files or places are noticed too. Where the head is good the file's size
 * follows from it.
 */
#ifndef RF_ENGINE_SEQUENCE_FORMAT_H
#define RF_ENGINE_SEQUENCE_FORMAT_H

#include "engine/sequence_file.h"

enum { RF_SEQUENCE_VERSION = 1, RF_SEQUENCE_BYTE_ORDER = 0x01020304 };

typedef struct rf_sequence_head {
    char magic[8];
    uint32_t byte_order, version;
    uint64_t model_hash, rotation;
    char backend[16]; /* NUL-padded */
    uint32_t type_k, type_v, block_tokens, n_groups;
    uint32_t windows[RF_KV_GROUPS];
    uint64_t block_bytes[RF_KV_GROUPS];
    uint32_t first[RF_KV_GROUPS]; /* block number from which on each group has contents */
    uint32_t n_tokens, zero;
    uint64_t sum; /* of all before it, under the version */
} rf_sequence_head;

_Static_assert(sizeof(rf_sequence_head) == 144, "the head has no gaps");

/* A head for n_tokens tokens of this engine, without its sum. */
rf_sequence_head rf_sequence_head_make(const rf_sequence_port *port, uint32_t n_tokens,
                                       const uint32_t *first);
uint64_t rf_sequence_head_sum(const rf_sequence_head *head);
/* Whether a head that was read is whole, and of this engine; the error says what differs. */
RF_NODISCARD rf_status rf_sequence_head_check(const rf_sequence_head *head,
                                              const rf_sequence_port *port, const char *path,
                                              rf_error *err);

uint32_t rf_sequence_n_columns(const rf_sequence_head *head);    /* blocks of the prefix */
uint32_t rf_sequence_first_column(const rf_sequence_head *head); /* the first with contents */
uint64_t rf_sequence_column_bytes(const rf_sequence_head *head, uint32_t i);
uint64_t rf_sequence_file_bytes(const rf_sequence_head *head); /* head as checked */
/* Bytes for what is moved in one request: 2 MiB, or one block of all groups. */
uint64_t rf_sequence_chunk_bytes(const rf_sequence_head *head);

uint64_t rf_sequence_sum(const rf_sequence_head *head, uint32_t number, const void *bytes,
                         size_t n);
/* A further sum in the sum of all. */
uint64_t rf_sequence_add(uint64_t total, uint64_t sum);

/* port->run, or the engine's own functions. */
RF_NODISCARD rf_status rf_sequence_run(const rf_sequence_port *port, const rf_request *request,
                                       rf_sequence_take_fn take, void *user, rf_error *err);

#endif
