/* A vocabulary of the 256 bytes, for tests that run constraints without a model. */
#ifndef RF_TESTS_LIB_BYTE_VOCAB_H
#define RF_TESTS_LIB_BYTE_VOCAB_H

#include <stdbool.h>

#include "grammar/automaton.h"

/* Goes through an answer that the block allows, led by bytes: each picks among the bytes that may
 * come next. Returns the answer's length, up to most; *whole: it ended where it may. Traps where
 * masks and steps disagree, or where a state is reached that nothing leads out of. */
size_t byte_vocab_walk(const rf_automaton *automaton, const uint8_t *bytes, size_t n, char *out,
                       size_t most, bool *whole);

#endif
