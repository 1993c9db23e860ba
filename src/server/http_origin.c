#include "server/http_origin.h"

#include <microhttpd.h>
#include <strings.h>

#include "server/server_state.h"

static bool is_name(rf_str s, const char *name) {
    return s.len == strlen(name) && strncasecmp(s.ptr, name, s.len) == 0;
}

/* The host of "host:port" or "[v6]:port". */
static rf_str host_part(rf_str authority) {
    if (authority.len > 0 && authority.ptr[0] == '[') {
        const char *end = memchr(authority.ptr, ']', authority.len);
        return rf_str_sub(authority, 0, end ? (size_t)(end - authority.ptr) + 1 : authority.len);
    }
    const char *colon = authority.len ? memchr(authority.ptr, ':', authority.len) : NULL;
    return rf_str_sub(authority, 0, colon ? (size_t)(colon - authority.ptr) : authority.len);
}

static bool is_this_machine(rf_str host) {
    return is_name(host, "localhost") || is_name(host, "127.0.0.1") || is_name(host, "[::1]");
}

/* Of the very address that was asked. */
static bool is_own(const rf_head *head) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        rf_str scheme = rf_str_of(schemes[i]);
        if (rf_str_starts(head->origin, scheme) &&
            rf_str_eq(rf_str_sub(head->origin, scheme.len, head->origin.len), head->host))
            return true;
    }
    return false;
}

static bool is_listed(const rf_server_options *options, rf_str origin) {
    for (size_t i = 0; i < options->n_origins; i++)
        if (strcmp(options->origins[i], "*") == 0 || is_name(origin, options->origins[i]))
            return true;
    return false;
}

bool rf_origin_check(rf_exchange *exchange, const rf_head *head, bool checks_host) {
    if (checks_host && head->n_hosts == 1 && !is_this_machine(host_part(head->host)))
        return rf_refuse(&exchange->refusal, RF_REFUSE_ORIGIN, NULL,
                         "Host %.*s is no name of this machine; without an API key only localhost "
                         "is answered",
                         RF_STR_ARG(head->host));
    if (head->origin.len == 0 || is_own(head))
        return true;
    exchange->crosses = is_listed(&exchange->server->options, head->origin);
    return exchange->crosses ||
           rf_refuse(&exchange->refusal, RF_REFUSE_ORIGIN, NULL,
                     "requests of pages from %.*s are not answered; --cors-origin lists those that "
                     "are",
                     RF_STR_ARG(head->origin));
}

bool rf_origin_is_preflight(const rf_exchange *exchange, const rf_head *head, const char *method) {
    uint64_t n = 0;
    bool has_body = head->n_encodings > 0 || (head->n_lengths > 0 && rf_head_length(head, &n) && n);
    return exchange->crosses && strcmp(method, "OPTIONS") == 0 && head->asked_method.len > 0 &&
           !has_body;
}

bool rf_origin_add_headers(const rf_exchange *exchange, struct MHD_Connection *mhd,
                           struct MHD_Response *response) {
    if (exchange->server->options.n_origins == 0)
        return true;
    bool ok = MHD_add_response_header(response, "Vary", "Origin") == MHD_YES;
    if (!exchange->crosses)
        return ok;
    const char *origin = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Origin");
    ok &= MHD_add_response_header(response, "Access-Control-Allow-Origin", origin) == MHD_YES;
    if (!exchange->is_preflight)
        return ok && MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                             "X-Request-Id, Request-Id, Retry-After") == MHD_YES;
    const char *wanted =
        MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Access-Control-Request-Headers");
    if (wanted && *wanted)
        ok &= MHD_add_response_header(response, "Access-Control-Allow-Headers", wanted) == MHD_YES;
    ok &= MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST") == MHD_YES;
    return ok && MHD_add_response_header(response, "Access-Control-Max-Age", "600") == MHD_YES;
}
