#include "tokenizer/nfc.h"

#include <utf8proc.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "tokenizer/char_class.h"

bool rf_nfc_is_trivial(rf_str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0xcc) /* U+0300 is CC 80 */
            return false;
    return true;
}

static unsigned combining_class(utf8proc_int32_t code) {
    return (unsigned)utf8proc_get_property(code)->combining_class;
}

/* Stable sort of a run of marks by combining class: insertion for the usual few, counting for runs
 * that only hostile texts have. False: out of memory. */
static bool order_marks(utf8proc_int32_t *marks, size_t n) {
    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            utf8proc_int32_t code = marks[i];
            size_t k = i;
            for (; k > 0 && combining_class(marks[k - 1]) > combining_class(code); k--)
                marks[k] = marks[k - 1];
            marks[k] = code;
        }
        return true;
    }
    size_t at[257] = {0};
    utf8proc_int32_t *sorted = rf_calloc(n, sizeof *sorted);
    if (!sorted)
        return false;
    for (size_t i = 0; i < n; i++)
        at[combining_class(marks[i]) + 1]++;
    for (size_t c = 0; c < 256; c++)
        at[c + 1] += at[c];
    for (size_t i = 0; i < n; i++)
        sorted[at[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, sorted, n * sizeof *sorted);
    rf_free(sorted);
    return true;
}

/* Canonical decomposition of text into codes (room for 4 a character); returns their number. */
static size_t decompose(rf_str text, utf8proc_int32_t *codes) {
    size_t n = 0;
    for (size_t i = 0, len; i < text.len; i += len) {
        utf8proc_int32_t code = (utf8proc_int32_t)rf_char_decode(text.ptr + i, &len);
        int boundclass = 0;
        utf8proc_ssize_t made =
            utf8proc_decompose_char(code, codes + n, 4, UTF8PROC_DECOMPOSE, &boundclass);
        if (made < 1 || made > 4) { /* no canonical decomposition is longer than 4 */
            codes[n] = code;
            made = 1;
        }
        n += (size_t)made;
    }
    return n;
}

static bool order_all_marks(utf8proc_int32_t *codes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t start = i;
        while (i < n && combining_class(codes[i]) != 0)
            i++;
        if (i - start > 1 && !order_marks(codes + start, i - start))
            return false;
    }
    return true;
}

/* text has a character from U+0300 on. */
static void append_composed(rf_str text, rf_buf *out) {
    size_t n_chars = 0;
    for (size_t i = 0; i < text.len; i += rf_char_length(text.ptr[i]))
        n_chars++;
    utf8proc_int32_t *codes = rf_calloc(n_chars, 4 * sizeof *codes);
    if (!codes) {
        out->failed = true;
        return;
    }
    size_t n = decompose(text, codes);
    utf8proc_ssize_t composed = -1;
    if (order_all_marks(codes, n))
        composed = utf8proc_normalize_utf32(codes, (utf8proc_ssize_t)n,
                                            UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (composed < 0)
        out->failed = true;
    for (utf8proc_ssize_t i = 0; i < composed; i++) {
        char utf8[4];
        size_t len = rf_utf8_encode((uint32_t)codes[i], utf8);
        rf_buf_append(out, utf8, len);
    }
    rf_free(codes);
}

void rf_nfc_append(rf_str text, rf_buf *out) {
    size_t done = 0;
    for (size_t i = 0; i < text.len && !out->failed;) {
        if ((unsigned char)text.ptr[i] < 0xcc) {
            i++;
            continue;
        }
        /* The stretch from the character before (which may take marks) to the next ASCII one. */
        size_t from = i, to = i;
        if (from > done) {
            from--;
            while (from > done && ((unsigned char)text.ptr[from] & 0xc0) == 0x80)
                from--;
        }
        while (to < text.len && (unsigned char)text.ptr[to] >= 0x80)
            to++;
        rf_buf_append(out, text.ptr + done, from - done);
        append_composed(rf_str_sub(text, from, to), out);
        done = i = to;
    }
    rf_buf_append(out, text.ptr + done, text.len - done);
}
