/* Spelling distance, for "did you mean". Pure functions; any thread. */
#ifndef RF_CLI_SPELLING_H
#define RF_CLI_SPELLING_H

#include <stdbool.h>
#include <stddef.h>

/* Least number of single-character edits and swaps of neighbours that turn a into b; texts longer
 * than 63 bytes count as far apart. */
size_t rf_spelling_distance(const char *a, const char *b);
/* True when the distance is small for the length of the word. */
bool rf_spelling_close(const char *word, size_t distance);

#endif
