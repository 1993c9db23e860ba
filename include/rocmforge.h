/*
 * rocmforge as a library: load a GGUF model, run many requests on it at once, take text, tokens,
 * embeddings or scores. C99 and C++.
 *
 *     rocmforge_model *model;                          file, tokenizer, chat template
 *     rocmforge_engine *engine;                        weights, cache and a thread that runs them
 *     rocmforge_model_open("m.gguf", NULL, &model);
 *     rocmforge_engine_open(model, NULL, &engine);
 *     rocmforge_run(engine, &options, on_event, user);  or submit, next, close for many at once
 *     rocmforge_engine_close(engine);
 *     rocmforge_model_close(model);
 *
 * ERRORS. Functions return ROCMFORGE_OK or a negative rocmforge_status. rocmforge_last_error()
 * then says what happened, rocmforge_last_rule() which rule of this header a caller broke: misuse
 * is found, changes nothing and never touches freed memory. The library does not exit, abort, or
 * write to standard output or error.
 *
 * HANDLES are not pointers to memory: a null, closed, foreign or wrongly typed one is recognised.
 * Whoever opens or submits closes, once. Closing while other threads are inside calls with the
 * same handle is fine: their calls end with ROCMFORGE_CANCELLED.
 *
 * THREADS. Every function may be called from any thread at any time, except that one request (and
 * one rocmforge_engine_wait of an engine) serves one thread at a time. An engine computes on
 * threads of its own, with all signals blocked, but it hands results over only while some thread
 * is inside rocmforge_run, rocmforge_request_next or rocmforge_engine_wait; one such thread serves
 * all requests of its engine. What nobody takes is kept (bounded by the requests' lengths).
 *
 * CALLBACKS run on the thread that called the function they were given to, and only until it
 * returns; the log callback alone may run on any thread. From an event callback only functions
 * marked [callback] may be called, from a progress or log callback none but those marked [always].
 *
 * STRUCTS begin with struct_size. Start from the rocmforge_…_init() of a struct: it sets the size
 * and zero, which is every field's default. Fields are only ever added at the end. A struct from an
 * older header is taken; one from a newer header too, if what this library does not know is zero.
 * What a function fills in is filled up to struct_size.
 *
 * TEXTS are UTF-8. Pointers in arguments are borrowed until the call returns, unless it says more.
 * Functions that write into a caller's array take its size and tell the size that is needed; with a
 * size of 0 the array may be NULL. Too small an array is ROCMFORGE_LIMIT, and nothing is written.
 */
#ifndef ROCMFORGE_H
#define ROCMFORGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ROCMFORGE_VERSION_MAJOR 0
#define ROCMFORGE_VERSION_MINOR 1
#define ROCMFORGE_VERSION_PATCH 0
#define ROCMFORGE_VERSION       "0.1.0"

#if defined(__GNUC__)
#define ROCMFORGE_API __attribute__((visibility("default")))
#else
#define ROCMFORGE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rocmforge_model rocmforge_model;
typedef struct rocmforge_engine rocmforge_engine;
typedef struct rocmforge_request rocmforge_request;

/* ---- errors and versions --------------------------------------------------------------------- */

typedef int32_t rocmforge_status;
enum {
    ROCMFORGE_OK = 0,
    ROCMFORGE_INVALID = -1,     /* a bad file, text or value; the error says what was expected */
    ROCMFORGE_UNSUPPORTED = -2, /* well formed, but this build or machine cannot do it */
    ROCMFORGE_NOT_FOUND = -3,
    ROCMFORGE_IO = -4,
    ROCMFORGE_NO_MEMORY = -5,
    ROCMFORGE_LIMIT = -6,     /* a bound was reached: context, queue, size of an array */
    ROCMFORGE_CANCELLED = -7, /* by a callback, or because a handle was closed meanwhile */
    ROCMFORGE_TIMEOUT = -8,   /* nothing came within timeout_ms */
    ROCMFORGE_END = -9,       /* the request has given all its events */
    ROCMFORGE_MISUSE = -10,   /* the caller broke a rule: see rocmforge_last_rule */
    ROCMFORGE_INTERNAL = -11
};

typedef int32_t rocmforge_rule;
enum {
    ROCMFORGE_RULE_NONE = 0,
    ROCMFORGE_RULE_NULL = 1,          /* a pointer that is needed is not NULL */
    ROCMFORGE_RULE_HANDLE = 2,        /* a handle comes from this library */
    ROCMFORGE_RULE_HANDLE_KIND = 3,   /* a handle is of the kind that the function takes */
    ROCMFORGE_RULE_HANDLE_CLOSED = 4, /* a handle is closed once and not used afterwards */
    ROCMFORGE_RULE_STRUCT_SIZE = 5,   /* struct_size is set by the struct's init function */
    ROCMFORGE_RULE_STRUCT_NEWER = 6,  /* fields that this library does not know are zero */
    ROCMFORGE_RULE_CALLBACK = 7,      /* callbacks call only the functions that may be called */
    ROCMFORGE_RULE_ORDER = 8,         /* engines are closed before their model */
    ROCMFORGE_RULE_ONE_THREAD = 9,    /* one thread at a time takes events */
    ROCMFORGE_RULE_VALUE = 10,        /* enumerations and flags have values of this header */
    ROCMFORGE_RULE_PROMPT = 11        /* a prompt is given in exactly one form */
};

/* [always] Of the library that runs; compare with the macros. major * 10000 + minor * 100 + patch
 */
ROCMFORGE_API const char *rocmforge_version(void);
ROCMFORGE_API int32_t rocmforge_version_number(void);
/* [always] Why this thread's last failed call failed; valid until the thread's next call of a
 * function that is not marked [always]. Never NULL. */
ROCMFORGE_API const char *rocmforge_last_error(void);
ROCMFORGE_API rocmforge_rule rocmforge_last_rule(void); /* [always] of that call, or RULE_NONE */
/* [always] Names, as "misuse", "handle_closed", "stop_text"; "unknown" for other numbers. */
ROCMFORGE_API const char *rocmforge_status_name(rocmforge_status status);
ROCMFORGE_API const char *rocmforge_rule_name(rocmforge_rule rule);
ROCMFORGE_API const char *rocmforge_finish_name(int32_t finish);
/* [always] sizeof of a struct of this header in the library, by its name without "rocmforge_"; 0:
 * no such struct. For bindings. */
ROCMFORGE_API size_t rocmforge_struct_size(const char *name);

/* ---- log ------------------------------------------------------------------------------------- */

enum { /* levels */
       ROCMFORGE_LOG_ERROR = 0,
       ROCMFORGE_LOG_WARN = 1,
       ROCMFORGE_LOG_INFO = 2,
       ROCMFORGE_LOG_DEBUG = 3,
       ROCMFORGE_LOG_TRACE = 4
};

/* One line without its end; texts are valid during the call. Any thread, several at once. */
typedef void (*rocmforge_log_fn)(void *user, int32_t level, const char *topic, const char *text);

/* For the whole process; NULL drops everything (the default). When it returns, the former callback
 * is not running and is not called again. */
ROCMFORGE_API rocmforge_status rocmforge_log_set(rocmforge_log_fn callback, void *user,
                                                 int32_t level);

/* ---- model ----------------------------------------------------------------------------------- */

typedef struct rocmforge_model_options {
    size_t struct_size;
    const char *chat_template; /* Jinja source in place of the file's own; NULL: the file's */
    int32_t allow_slow_types;  /* 1: weight types without a fast kernel are taken */
    int32_t reserved;          /* 0 */
} rocmforge_model_options;

typedef struct rocmforge_model_info {
    size_t struct_size;
    const char *architecture, *name; /* valid until the model is closed */
    uint64_t n_parameters, weights_bytes, file_bytes;
    uint32_t n_layer, n_embd, n_head, n_head_kv, n_vocab, n_ctx_train;
    int32_t bos, eos, eot, unk, pad; /* token ids, or -1 */
    int32_t has_chat_template;
} rocmforge_model_info;

/* Maps a file (the first of split ones), checks all of it and builds tokenizer and template.
 * Weights are read later, by rocmforge_engine_open. The file must not shrink until the model is
 * closed. options may be NULL. */
ROCMFORGE_API rocmforge_status rocmforge_model_open(const char *path,
                                                    const rocmforge_model_options *options,
                                                    rocmforge_model **out);
/* Its engines must be closed before (ROCMFORGE_RULE_ORDER). */
ROCMFORGE_API rocmforge_status rocmforge_model_close(rocmforge_model *model);
/* [callback] */
ROCMFORGE_API rocmforge_status rocmforge_model_get_info(const rocmforge_model *model,
                                                        rocmforge_model_info *out);

enum { /* flags of texts */
       ROCMFORGE_TEXT_NO_SPECIAL =
           1,                   /* do not add the tokens that begin and end texts (BOS, EOS) */
       ROCMFORGE_TEXT_PLAIN = 2 /* texts of control tokens are ordinary text */
};

/* [callback] Ids of a text of n_bytes into tokens[max_tokens]; *n_tokens is what is needed. */
ROCMFORGE_API rocmforge_status rocmforge_tokenize(const rocmforge_model *model, const char *text,
                                                  size_t n_bytes, uint32_t flags, int32_t *tokens,
                                                  size_t max_tokens, size_t *n_tokens);
/* [callback] The bytes of tokens, control tokens written out; NUL-terminated if there is room for
 * it. A lone token's bytes are not always whole characters. */
ROCMFORGE_API rocmforge_status rocmforge_detokenize(const rocmforge_model *model,
                                                    const int32_t *tokens, size_t n_tokens,
                                                    char *text, size_t max_bytes, size_t *n_bytes);
/* [callback] 1 if the token ends answers, 0 if not, or a negative status. */
ROCMFORGE_API int32_t rocmforge_token_is_end(const rocmforge_model *model, int32_t token);

/* ---- prompts --------------------------------------------------------------------------------- */

typedef struct rocmforge_message { /* this struct never grows */
    const char *role;              /* "system", "user", "assistant" … */
    const char *content;
} rocmforge_message;

/* What a request is about: exactly one of text, tokens, messages and messages_json. */
typedef struct rocmforge_prompt {
    size_t struct_size;
    const char *text; /* as it stands */
    size_t n_bytes;   /* of text; 0: up to its NUL */
    const int32_t *tokens;
    size_t n_tokens;
    const rocmforge_message *messages; /* through the model's chat template */
    size_t n_messages;
    /* As in the OpenAI API: an array of messages; with either form of messages an array of tools,
     * and an object of further variables for the template. */
    const char *messages_json, *tools_json, *variables_json;
    uint32_t flags;                 /* ROCMFORGE_TEXT_…, of text */
    int32_t continue_final_message; /* 1: the answer goes on with the last message */
} rocmforge_prompt;

/* [callback] The text that a chat template makes of messages; NUL-terminated like above. */
ROCMFORGE_API rocmforge_status rocmforge_render(const rocmforge_model *model,
                                                const rocmforge_prompt *prompt, char *text,
                                                size_t max_bytes, size_t *n_bytes);

/* ---- engine ---------------------------------------------------------------------------------- */

enum {                              /* types of the cache */
       ROCMFORGE_CACHE_DEFAULT = 0, /* F16 */
       ROCMFORGE_CACHE_F32 = 1,
       ROCMFORGE_CACHE_F16 = 2,
       ROCMFORGE_CACHE_Q8_0 = 3
};

/* Bytes done of total; anything but 0 gives up: ROCMFORGE_CANCELLED. */
typedef int32_t (*rocmforge_progress_fn)(void *user, uint64_t done, uint64_t total);

typedef struct rocmforge_engine_options {
    size_t struct_size;
    uint32_t n_ctx;        /* longest request, tokens; 0: trained, at most 4096 */
    uint32_t kv_tokens;    /* the cache, tokens over all requests; 0: n_ctx */
    uint32_t max_requests; /* that run at once; 0: 16 */
    uint32_t max_waiting;  /* that wait; 0: 256 */
    uint32_t batch_tokens; /* of a step; 0: 512 */
    uint32_t n_threads;    /* 0: one for each processor */
    int32_t cache_type_k, cache_type_v;
    /* Speculation changes the time that answers take, never the answers. draft_model: a smaller one
     * with the same vocabulary, which guesses; borrowed until the engine is closed. */
    rocmforge_model *draft_model;
    uint32_t n_draft_max, reserved; /* guesses of a step; 0: 8 with a draft_model, else none */
    const char *isa;                /* "auto" (NULL too), "avx512", "avx2", "none" */
    rocmforge_progress_fn progress;
    void *progress_user;
} rocmforge_engine_options;

typedef struct rocmforge_counters {
    size_t struct_size;
    uint64_t n_requests, n_finished, n_failed, n_cancelled;
    uint64_t n_steps, step_ns, last_step_ns; /* step_ns: all together */
    uint64_t n_prefill_tokens, n_decode_tokens, n_generated_tokens;
    uint64_t n_cached_tokens; /* of prompts, that were not computed again */
    uint64_t n_preempted;
    uint32_t n_running, n_paused, n_waiting, reserved;
} rocmforge_counters;

/* Loads the weights, takes all memory, starts the threads. A model may have several engines.
 * options may be NULL. */
ROCMFORGE_API rocmforge_status rocmforge_engine_open(rocmforge_model *model,
                                                     const rocmforge_engine_options *options,
                                                     rocmforge_engine **out);
/* Ends after the step that runs. Requests that have not ended get ROCMFORGE_FINISH_CLOSED as their
 * last event and are still to be closed. */
ROCMFORGE_API rocmforge_status rocmforge_engine_close(rocmforge_engine *engine);
/* [callback] */
ROCMFORGE_API rocmforge_status rocmforge_engine_get_counters(const rocmforge_engine *engine,
                                                             rocmforge_counters *out);
ROCMFORGE_API uint32_t rocmforge_engine_n_ctx(const rocmforge_engine *engine); /* [callback] or 0 */

/* ---- requests -------------------------------------------------------------------------------- */

enum { /* kinds of requests */
       ROCMFORGE_GENERATE = 0,
       ROCMFORGE_EMBED = 1, /* one vector for the whole prompt */
       ROCMFORGE_SCORE = 2  /* log-probabilities of the prompt's own tokens */
};
enum {                              /* who guesses further tokens */
       ROCMFORGE_DRAFT_DEFAULT = 0, /* the engine's draft model, where it has one */
       ROCMFORGE_DRAFT_NONE = 1,
       ROCMFORGE_DRAFT_LOOKUP = 2 /* what followed the last tokens before; needs n_draft_max */
};
enum { ROCMFORGE_POOL_MEAN = 0, ROCMFORGE_POOL_LAST = 1, ROCMFORGE_POOL_CLS = 2 };

typedef struct rocmforge_token_bias { /* this struct never grows */
    int32_t token;
    float bias; /* -INFINITY bans the token */
} rocmforge_token_bias;

typedef struct rocmforge_request_options {
    size_t struct_size;
    int32_t kind;
    int32_t priority; /* greater is more urgent */
    const rocmforge_prompt *prompt;
    /* GENERATE */
    uint32_t n_tokens;  /* to generate at most; 0: as many as fit */
    uint32_t n_choices; /* answers to the same prompt; 0: 1 */
    /* "temperature=0.7 top_k=20 seed=1 samplers=top_k;temperature": the names that
     * `rocmforge generate --help` lists, with '_'. NULL: the defaults. */
    const char *sampling;
    const char *const *stops; /* texts that end an answer and are not part of it: [n_stops] */
    size_t n_stops;
    const char *const *dry_breakers; /* [n_dry_breakers]; none: the usual ones */
    size_t n_dry_breakers;
    const rocmforge_token_bias *biases; /* added to logits: [n_biases] */
    size_t n_biases;
    const char *regex;         /* the whole answer matches it; or NULL */
    const char *const *one_of; /* it is one of these: [n_one_of] */
    size_t n_one_of;
    int32_t ignore_end; /* 1: tokens that end answers are banned */
    /* GENERATE: with each token; SCORE: at each place. Alternatives with their log-probabilities.
     * GENERATE gives no log-probabilities at all where this is 0. */
    uint32_t n_top;
    uint32_t scores_from;  /* SCORE: of this token (at least 1, 0 is 1) and later ones */
    int32_t pooling;       /* EMBED */
    int32_t normalise;     /* EMBED: 1: to length 1 */
    int32_t draft;         /* GENERATE: ROCMFORGE_DRAFT_… */
    int32_t keeps_private; /* 1: shares no cached prefix with other requests */
    int32_t reserved;      /* 0 */
    uint64_t cache_salt;   /* shares them with requests of the same salt alone */
    void *user;            /* comes back in events */
    /* As regex and one_of, of which at most one may be given: a text of a grammar's root (GBNF, as
     * llama.cpp writes it); a document that is valid under a JSON schema. Or NULL. */
    const char *grammar;
    const char *json_schema;
} rocmforge_request_options;

enum { /* kinds of events */
       ROCMFORGE_EVENT_TOKEN = 1,
       ROCMFORGE_EVENT_FINISH = 2,    /* of a choice; the last event of a request has `last` set */
       ROCMFORGE_EVENT_EMBEDDING = 3, /* the vector; FINISH follows */
       ROCMFORGE_EVENT_SCORES = 4     /* FINISH follows */
};
enum {                            /* why a choice ended */
       ROCMFORGE_FINISH_STOP = 1, /* a token that ends answers */
       ROCMFORGE_FINISH_STOP_TEXT = 2,
       ROCMFORGE_FINISH_LENGTH = 3,  /* n_tokens were generated */
       ROCMFORGE_FINISH_CONTEXT = 4, /* the context is full */
       ROCMFORGE_FINISH_DONE = 5,    /* EMBED, SCORE */
       ROCMFORGE_FINISH_CANCELLED = 6,
       ROCMFORGE_FINISH_FAILED = 7, /* status and error say why */
       ROCMFORGE_FINISH_CLOSED = 8  /* the engine was closed */
};

typedef struct rocmforge_token_logprob { /* this struct never grows */
    int32_t token;
    float logprob;
} rocmforge_token_logprob;

/* Pointers are valid until the request's next call or the callback's return. */
typedef struct rocmforge_event {
    size_t struct_size;
    int32_t kind;
    uint32_t choice;
    void *user; /* the request's */
    /* TOKEN: whole characters that became final with it, often none, NUL-terminated. token is -1
     * where text comes that was only held back. */
    const char *text;
    size_t n_bytes;
    int32_t token;
    float logprob;
    const rocmforge_token_logprob *top; /* [n_top], best first */
    size_t n_top;
    const float *embedding; /* EMBEDDING: [n_embedding] */
    size_t n_embedding;
    /* SCORES: [n_scores][scores_stride], each row the token itself, then the alternatives */
    const rocmforge_token_logprob *scores;
    size_t n_scores, scores_stride;
    /* FINISH */
    int32_t finish;
    rocmforge_status status;        /* OK, or why it failed */
    const char *error;              /* "" where nothing failed */
    int32_t last;                   /* 1: the request's last event */
    uint32_t n_generated;           /* tokens of this choice, the end token too */
    uint32_t n_prompt;              /* tokens of the prompt */
    uint32_t n_cached;              /* of these, not computed again; with `last` */
    uint32_t n_drafted, n_accepted; /* guesses for this choice; those that came true */
    int64_t seed;                   /* that was used */
} rocmforge_event;

/* Anything but 0 ends the request. */
typedef int32_t (*rocmforge_event_fn)(void *user, const rocmforge_event *event);

/* Runs one request and calls on_event for everything it gives. The status of a request that fails
 * is returned too; ROCMFORGE_CANCELLED: the callback wanted no more. */
ROCMFORGE_API rocmforge_status rocmforge_run(rocmforge_engine *engine,
                                             const rocmforge_request_options *options,
                                             rocmforge_event_fn on_event, void *user);

/* Takes a request in; what options point at is copied. ROCMFORGE_LIMIT: too many wait already. */
ROCMFORGE_API rocmforge_status rocmforge_submit(rocmforge_engine *engine,
                                                const rocmforge_request_options *options,
                                                rocmforge_request **out);
/* Waits for the request's next event. timeout_ms: 0 only looks, negative waits for ever.
 * ROCMFORGE_END after the last one. */
ROCMFORGE_API rocmforge_status rocmforge_request_next(rocmforge_request *request,
                                                      rocmforge_event *out, int64_t timeout_ms);
/* Waits until some request of the engine has an event; all get their turn. *out is a handle that
 * was submitted before; it is not to be closed once more. */
ROCMFORGE_API rocmforge_status rocmforge_engine_wait(rocmforge_engine *engine,
                                                     rocmforge_request **out, int64_t timeout_ms);
/* [callback] Asks a request to end; its events go on up to the last one. Nothing happens to one
 * that has ended. */
ROCMFORGE_API rocmforge_status rocmforge_request_cancel(rocmforge_request *request);
/* Cancels what has not ended. */
ROCMFORGE_API rocmforge_status rocmforge_request_close(rocmforge_request *request);

/* ---- files of the cache ---------------------------------------------------------------------- */

/* Writes what the engine's cache holds of a prompt (that was run, or is the beginning of one) to a
 * file, whole or not at all; *n_tokens of it. ROCMFORGE_NOT_FOUND: nothing. */
ROCMFORGE_API rocmforge_status rocmforge_save(rocmforge_engine *engine,
                                              const rocmforge_prompt *prompt, uint64_t cache_salt,
                                              const char *path, size_t *n_tokens);
/* Brings such a file back into the cache, where requests that begin with its tokens find them.
 * Files of other models, cache types or processors are refused, damaged ones too. tokens may be
 * NULL with max_tokens 0: then none are given. */
ROCMFORGE_API rocmforge_status rocmforge_load(rocmforge_engine *engine, uint64_t cache_salt,
                                              const char *path, int32_t *tokens, size_t max_tokens,
                                              size_t *n_tokens);

/* ---- init: size set, everything else zero, which is the default ------------------------------ */

#define ROCMFORGE_INIT_FUNCTION(name)      \
    static inline name name##_init(void) { \
        name made;                         \
        memset(&made, 0, sizeof made);     \
        made.struct_size = sizeof made;    \
        return made;                       \
    }
ROCMFORGE_INIT_FUNCTION(rocmforge_model_options)
ROCMFORGE_INIT_FUNCTION(rocmforge_model_info)
ROCMFORGE_INIT_FUNCTION(rocmforge_prompt)
ROCMFORGE_INIT_FUNCTION(rocmforge_engine_options)
ROCMFORGE_INIT_FUNCTION(rocmforge_counters)
ROCMFORGE_INIT_FUNCTION(rocmforge_request_options)
ROCMFORGE_INIT_FUNCTION(rocmforge_event)
#undef ROCMFORGE_INIT_FUNCTION

#ifdef __cplusplus
}
#endif

#endif
