/*
 * A number that tells models apart: two files with the same one hold, but for chance, the same
 * model. Any thread.
 */
#ifndef RF_GGUF_GGUF_HASH_H
#define RF_GGUF_GGUF_HASH_H

#include "gguf/gguf.h"

/* Of every key with its value, of every tensor's name, type and shape, and of 16 places of 256
 * bytes of its data, whose ends are among them (2 ms for SmolLM2 135M, 16 when its pages must come
 * from disk). What is tuned or quantised differently changes nearly every weight; one that was made
 * to differ elsewhere alone would pass. Not of how the file is cut into splits. gguf: opened with
 * its data. */
uint64_t rf_gguf_hash(const rf_gguf *gguf);

#endif
