#include "cli/spelling.h"

#include <string.h>

enum { SPELLING_MAX = 63 };

static size_t least3(size_t a, size_t b, size_t c) {
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

size_t rf_spelling_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > SPELLING_MAX || m > SPELLING_MAX)
        return SPELLING_MAX;
    /* rows i-2, i-1 and i of the edit table, taken in turn */
    size_t rows[3][SPELLING_MAX + 1];
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least3(above[j] + 1, row[j - 1] + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

bool rf_spelling_close(const char *word, size_t distance) {
    return distance <= 1 + strlen(word) / 4;
}
