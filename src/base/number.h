/* Strict numbers from text that people type. Pure functions; any thread, whose LC_NUMERIC is "C".
 */
#ifndef RF_BASE_NUMBER_H
#define RF_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* The whole text must be a decimal number: no blanks, no hexadecimal, no NaN or infinity. */
bool rf_number_int(const char *text, int64_t *out);
bool rf_number_real(const char *text, double *out);

#endif
