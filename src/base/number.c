#include "base/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool only(const char *text, const char *allowed) {
    return text[0] != 0 && text[strspn(text, allowed)] == 0;
}

bool rf_number_int(const char *text, int64_t *out) {
    if (!only(text, "+-0123456789"))
        return false;
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0)
        return false;
    *out = value;
    return true;
}

bool rf_number_real(const char *text, double *out) {
    if (!only(text, "+-.eE0123456789"))
        return false;
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    bool overflow = errno == ERANGE && fabs(value) > 1;
    if (overflow || end == text || *end != 0 || !isfinite(value))
        return false;
    *out = value;
    return true;
}
