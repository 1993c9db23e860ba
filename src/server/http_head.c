#include "server/http_head.h"

#include <microhttpd.h>
#include <stdint.h>
#include <strings.h>

static bool is_name(rf_str s, const char *name) {
    return s.len == strlen(name) && strncasecmp(s.ptr, name, s.len) == 0;
}

/* libmicrohttpd adds what follows on a folded line to the header's name: "Transfer-Encoding:\r\n
 * chunked" comes as "Transfer-Encodingchunked", and would be no encoding to us alone. */
static bool is_folded_framing(rf_str s) {
    static const char *const names[] = {"Content-Length", "Transfer-Encoding", "Host"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (s.len > n && strncasecmp(s.ptr, names[i], n) == 0)
            return true;
    }
    return false;
}

/* RFC 9110, 5.6.2: tchar. */
static bool is_token(rf_str s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
            return false;
    }
    return s.len > 0;
}

static bool is_field_value(rf_str s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    return true;
}

static enum MHD_Result see(void *user, enum MHD_ValueKind kind, const char *key, size_t n_key,
                           const char *value, size_t n_value) {
    rf_head *head = user;
    rf_str name = {key, n_key}, v = {value, value ? n_value : 0};
    (void)kind;
    head->malformed |= !is_token(name) || !is_field_value(v) || is_folded_framing(name);
    if (is_name(name, "Host")) {
        head->n_hosts++;
        head->host = v;
    } else if (is_name(name, "Content-Length")) {
        head->n_lengths++;
        head->length = v;
    } else if (is_name(name, "Transfer-Encoding")) {
        head->n_encodings++;
        head->encoding = v;
    } else if (is_name(name, "Content-Encoding")) {
        head->content_encoding = v;
    } else if (is_name(name, "Origin")) {
        head->origin = v;
    } else if (is_name(name, "Access-Control-Request-Method")) {
        head->asked_method = v;
    } else if (is_name(name, "Authorization")) {
        head->authorization = v;
    } else if (is_name(name, "X-Api-Key")) {
        head->api_key = v;
    } else if (is_name(name, "Traceparent")) {
        head->traceparent = v;
    } else if (is_name(name, "X-Request-Id")) {
        head->request_id = v;
    }
    return MHD_YES;
}

void rf_head_read(struct MHD_Connection *mhd, const char *version, rf_head *out) {
    *out = (rf_head){.is_1_1 = strcmp(version, "HTTP/1.1") == 0};
    (void)MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, see, out);
}

static bool refuse_head(rf_refusal *refusal, const char *why) {
    refusal->closes = true;
    return rf_refuse(refusal, RF_REFUSE_REQUEST, NULL, "%s", why);
}

bool rf_head_length(const rf_head *head, uint64_t *out) {
    *out = 0;
    for (size_t i = 0; i < head->length.len; i++) {
        char c = head->length.ptr[i];
        if (c < '0' || c > '9' || *out > UINT64_MAX / 16)
            return false;
        *out = *out * 10 + (uint64_t)(c - '0');
    }
    return head->length.len > 0;
}

bool rf_head_check(const rf_head *head, bool takes_body, rf_refusal *refusal) {
    uint64_t ignored;
    if (head->malformed)
        return refuse_head(refusal, "a header has characters that may not be in its name or value");
    if (head->n_hosts > 1 || (head->is_1_1 && head->n_hosts == 0))
        return refuse_head(refusal, "found no Host header or several, expected one");
    if (head->n_lengths > 1 || (head->n_lengths == 1 && !rf_head_length(head, &ignored)))
        return refuse_head(refusal, "found several Content-Length headers or one that is no "
                                    "number, expected one number");
    if (head->n_encodings > 1 || (head->n_encodings == 1 && !is_name(head->encoding, "chunked")))
        return refuse_head(refusal, "Transfer-Encoding: expected chunked or none");
    if (head->n_encodings == 1 && (head->n_lengths == 1 || !head->is_1_1))
        return refuse_head(refusal, "found Transfer-Encoding where the length is given or in "
                                    "HTTP/1.0, expected one of both");
    if (head->content_encoding.len > 0 && !is_name(head->content_encoding, "identity")) {
        refusal->closes = true;
        return rf_refuse(refusal, RF_REFUSE_ENCODING, NULL, "Content-Encoding %.*s is not taken",
                         RF_STR_ARG(head->content_encoding));
    }
    if (takes_body && head->n_lengths == 0 && head->n_encodings == 0)
        return rf_refuse(refusal, RF_REFUSE_LENGTH, NULL,
                         "a body is expected: Content-Length or Transfer-Encoding: chunked");
    return true;
}

rf_str rf_head_key(const rf_head *head) {
    rf_str scheme = rf_str_sub(head->authorization, 0, 7);
    if (is_name(scheme, "Bearer "))
        return rf_str_sub(head->authorization, 7, head->authorization.len);
    return head->api_key;
}

/* Lower-case digits, not all of them zero. */
static bool is_hex(rf_str s, size_t from, size_t n) {
    bool any = false;
    for (size_t i = from; i < from + n; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        any |= c != '0';
    }
    return any;
}

/* 00-(32 digits)-(16 digits)-(2 digits) */
bool rf_head_trace(const rf_head *head, rf_str *out) {
    rf_str s = head->traceparent;
    *out = s;
    if (s.len != 55 || !rf_str_starts(s, RF_STR("00-")) || s.ptr[35] != '-' || s.ptr[52] != '-')
        return false;
    bool flags = is_hex(s, 53, 2) || rf_str_ends(s, RF_STR("-00"));
    return flags && is_hex(s, 3, 32) && is_hex(s, 36, 16);
}
