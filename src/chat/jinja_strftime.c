/* datetime.strftime of a naive UTC time in the C locale. */
#include <stdio.h>

#include "chat/jinja_object.h"

typedef struct date {
    int64_t days;                                                 /* since 1970-01-01 */
    int year, month, day, hour, minute, second, weekday, yearday; /* weekday 0 = Sunday */
} date;

/* Civil date from a day count, by eras of 400 years that begin on 1 March. */
static date civil(int64_t clock) {
    date d = {0};
    int64_t seconds = ((clock % 86400) + 86400) % 86400;
    d.days = (clock - seconds) / 86400;
    d.hour = (int)(seconds / 3600);
    d.minute = (int)(seconds / 60 % 60);
    d.second = (int)(seconds % 60);
    int64_t z = d.days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    d.year = (int)(yoe + era * 400 + (d.month <= 2));
    d.weekday = (int)(((d.days % 7) + 11) % 7);
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    d.yearday = before[d.month - 1] + d.day + (leap && d.month > 2);
    return d;
}

static bool is_leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

/* ISO 8601 week and its year. */
static int iso_week(const date *d, int *year) {
    int monday = (d->weekday + 6) % 7, week = (d->yearday - 1 - monday + 10) / 7;
    *year = d->year;
    if (week < 1) {
        --*year;
        int jan1 = ((monday - (d->yearday - 1)) % 7 + 7) % 7;
        int length = 365 + is_leap(*year), before = ((jan1 - length) % 7 + 7) % 7;
        return before == 3 || (before == 2 && is_leap(*year)) ? 53 : 52;
    }
    if (week == 53) {
        int rest = 365 + is_leap(d->year) - d->yearday;
        if (monday + rest < 3) {
            ++*year;
            return 1;
        }
    }
    return week;
}

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* A number in a field, padded as the directive or its flag says. */
static void number(rf_buf *out, int64_t value, int width, char pad, char flag) {
    if (flag == '-')
        rf_buf_printf(out, "%lld", (long long)value);
    else if (flag == '_' || (pad == ' ' && flag != '0'))
        rf_buf_printf(out, "%*lld", width, (long long)value);
    else
        rf_buf_printf(out, "%0*lld", width, (long long)value);
}

static void text(rf_buf *out, const char *s, size_t len, char flag) {
    for (size_t i = 0; i < len; i++)
        rf_buf_put(out, flag == '^' && s[i] >= 'a' && s[i] <= 'z' ? (char)(s[i] - 32) : s[i]);
}

static bool directive(const date *d, int64_t clock, char c, char flag, rf_buf *out) {
    int iso_year, hour12 = d->hour % 12 ? d->hour % 12 : 12;
    switch (c) {
    case 'a': text(out, days[d->weekday], 3, flag); return true;
    case 'A': text(out, days[d->weekday], strlen(days[d->weekday]), flag); return true;
    case 'b':
    case 'h': text(out, months[d->month - 1], 3, flag); return true;
    case 'B': text(out, months[d->month - 1], strlen(months[d->month - 1]), flag); return true;
    case 'C': number(out, d->year / 100, 2, '0', flag); return true;
    case 'd': number(out, d->day, 2, '0', flag); return true;
    case 'e': number(out, d->day, 2, ' ', flag); return true;
    case 'f': rf_buf_text(out, "000000"); return true;
    case 'g':
        (void)iso_week(d, &iso_year);
        number(out, iso_year % 100, 2, '0', flag);
        return true;
    case 'G':
        (void)iso_week(d, &iso_year);
        number(out, iso_year, 4, '0', flag);
        return true;
    case 'H': number(out, d->hour, 2, '0', flag); return true;
    case 'I': number(out, hour12, 2, '0', flag); return true;
    case 'j': number(out, d->yearday, 3, '0', flag); return true;
    case 'k': number(out, d->hour, 2, ' ', flag); return true;
    case 'l': number(out, hour12, 2, ' ', flag); return true;
    case 'm': number(out, d->month, 2, '0', flag); return true;
    case 'M': number(out, d->minute, 2, '0', flag); return true;
    case 'n': rf_buf_put(out, '\n'); return true;
    case 'p':
        rf_buf_text(out, flag == '#' ? (d->hour < 12 ? "am" : "pm") : (d->hour < 12 ? "AM" : "PM"));
        return true;
    case 'P': rf_buf_text(out, d->hour < 12 ? "am" : "pm"); return true;
    case 's': rf_buf_printf(out, "%lld", (long long)clock); return true;
    case 'S': number(out, d->second, 2, '0', flag); return true;
    case 't': rf_buf_put(out, '\t'); return true;
    case 'u': number(out, d->weekday ? d->weekday : 7, 1, '0', flag); return true;
    case 'U': number(out, (d->yearday + 6 - d->weekday) / 7, 2, '0', flag); return true;
    case 'V': number(out, iso_week(d, &iso_year), 2, '0', flag); return true;
    case 'w': number(out, d->weekday, 1, '0', flag); return true;
    case 'W': number(out, (d->yearday + 6 - (d->weekday + 6) % 7) / 7, 2, '0', flag); return true;
    case 'y': number(out, d->year % 100, 2, '0', flag); return true;
    case 'Y': number(out, d->year, 1, '0', flag); return true;
    case 'z':
    case 'Z': return true; /* naive */
    case '%': rf_buf_put(out, '%'); return true;
    default: return false;
    }
}

/* Directives that stand for others. */
static const char *composite(char c) {
    switch (c) {
    case 'c': return "%a %b %e %H:%M:%S %Y";
    case 'D':
    case 'x': return "%m/%d/%y";
    case 'F': return "%Y-%m-%d";
    case 'r': return "%I:%M:%S %p";
    case 'R': return "%H:%M";
    case 'T':
    case 'X': return "%H:%M:%S";
    default: return NULL;
    }
}

/* glibc's field width: what stands from `before` on is moved right. */
static void widen(rf_buf *out, size_t before, size_t width, char pad) {
    size_t len = out->len - before;
    if (!rf_buf_reserve(out, width - len))
        return;
    memmove(out->data + before + width - len, out->data + before, len);
    memset(out->data + before, pad, width - len);
    out->len = before + width;
    out->data[out->len] = 0;
}

static void append(const date *d, int64_t clock, rf_str format, bool nested, rf_buf *out) {
    for (size_t i = 0; i < format.len; i++) {
        if (format.ptr[i] != '%' || i + 1 >= format.len) {
            rf_buf_put(out, format.ptr[i]);
            continue;
        }
        size_t start = i++;
        char flag = 0;
        while (i + 1 < format.len && strchr("-_0^#", format.ptr[i]))
            flag = format.ptr[i++];
        size_t width = 0, before = out->len;
        while (i + 1 < format.len && format.ptr[i] >= '0' && format.ptr[i] <= '9') {
            width = width < 1000 ? width * 10 + (size_t)(format.ptr[i] - '0') : width;
            i++;
        }
        while (i + 1 < format.len && (format.ptr[i] == 'E' || format.ptr[i] == 'O'))
            i++;
        const char *parts = nested ? NULL : composite(format.ptr[i]);
        if (parts)
            append(d, clock, rf_str_of(parts), true, out);
        else if (!directive(d, clock, format.ptr[i], flag, out))
            rf_buf_append(out, format.ptr + start, i + 1 - start);
        else if (width > out->len - before)
            widen(out, before, width,
                  flag == '_' || strchr("aAbBhpPekl", format.ptr[i]) ? ' ' : '0');
    }
}

bool rf_strftime(rf_vm *vm, rf_str format, int64_t clock, rf_buf *out) {
    if (clock < -62135596800 || clock > 253402300799) /* datetime: years 1 to 9999 */
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: year is out of range");
    date d = civil(clock);
    append(&d, clock, format, false, out);
    return true;
}
