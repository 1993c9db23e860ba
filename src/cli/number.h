/* Strict numbers and spelling distance for what people type. Pure functions; any thread. */
#ifndef RF_CLI_NUMBER_H
#define RF_CLI_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole text must be a decimal number: no blanks, no hexadecimal, no NaN or infinity. */
bool rf_number_int(const char *text, int64_t *out);
bool rf_number_real(const char *text, double *out);

/* Least number of single-character edits and swaps of neighbours that turn a into b; texts longer
 * than 63 bytes count as far apart. */
size_t rf_spelling_distance(const char *a, const char *b);
/* True when the distance is small for the length of the word. */
bool rf_spelling_close(const char *word, size_t distance);

#endif
