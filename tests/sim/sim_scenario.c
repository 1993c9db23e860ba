/* Scenarios: made from seeds, printed, read and shrunk. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/sim/sim.h"

typedef struct field {
    const char *name;
    size_t offset;
    uint64_t least, most;
} field;

static const field config_fields[] = {
#define SIM_CONFIG(name, least, most) {#name, offsetof(sim_scenario, name), least, most},
#include "tests/sim/sim_fields.def"
};
static const field event_fields[] = {
#define SIM_EVENT(name, least, most) {#name, offsetof(sim_event, name), least, most},
#include "tests/sim/sim_fields.def"
};
enum {
    N_CONFIG = sizeof config_fields / sizeof config_fields[0],
    N_EVENT = sizeof event_fields / sizeof event_fields[0]
};

static uint64_t *at(void *record, const field *f) {
    return (uint64_t *)(void *)((char *)record + f->offset);
}

uint64_t sim_mix(uint64_t a, uint64_t b) {
    /* SplitMix64's finaliser (Steele, Lea and Flood, 2014) */
    uint64_t x = a * 0x9e3779b97f4a7c15u + b + 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

int32_t sim_prompt_token(const sim_scenario *scenario, const sim_event *event, uint32_t i) {
    uint64_t source = i < event->n_shared ? event->family : 1000003 + event->id;
    return (int32_t)(sim_mix(source, i) % scenario->n_vocab);
}

/* ---- from a seed --------------------------------------------------------------------------- */

static uint64_t below(rf_rng *rng, uint64_t n) { return rf_rng_below(rng, (uint32_t)n); }

static uint64_t blocks_for(rf_rng *rng, const sim_scenario *s, uint64_t window) {
    uint64_t most = (s->max_context + s->block_tokens - 1) / s->block_tokens;
    uint64_t least = window ? (window + s->block_tokens - 1) / s->block_tokens + 2 : most;
    least = least < most ? least : most;
    return least + below(rng, 1 + (below(rng, 3) == 0 ? most * 6 : most));
}

static void make_config(rf_rng *rng, sim_scenario *s) {
    s->n_groups = 1 + below(rng, 2);
    s->block_tokens = 1 + below(rng, 9);
    s->max_context = 4 + below(rng, 90);
    bool slides = below(rng, 4) == 0;
    s->window0 = slides ? 1 + below(rng, 30) : 0;
    s->window1 = 1 + below(rng, 30);
    s->blocks0 = blocks_for(rng, s, s->window0);
    s->blocks1 = blocks_for(rng, s, s->window1);
    s->max_seqs = 1 + below(rng, 10);
    s->max_tokens = s->max_seqs + below(rng, 60);
    s->max_outputs = s->max_seqs + below(rng, 20);
    s->max_waiting = 1 + below(rng, 40);
    s->max_waiting_tokens = 20 + below(rng, 2000);
    s->n_vocab = below(rng, 3) ? 2 + below(rng, 3) : 1000;
    s->decode_us = 1 + below(rng, 10000);
    s->row_us = 1 + below(rng, 1000);
    s->max_drafts = below(rng, 2) ? 1 + below(rng, 16) : 0;
    s->draft_luck = below(rng, 101);
}

static sim_event make_event(rf_rng *rng, const sim_scenario *s, uint64_t now, uint64_t id) {
    sim_event e = {.kind = SIM_SUBMIT, .at_us = now, .id = id, .n_choices = 1, .n_tokens = 1};
    uint64_t roll = below(rng, 20);
    if (id > 0 && roll < 4) {
        e.kind = roll == 0 && below(rng, 4) == 0 ? SIM_CRASH : SIM_CANCEL;
        e.id = below(rng, id);
        return e;
    }
    e.n_tokens = 1 + below(rng, s->max_context);
    e.n_new = below(rng, 5) == 0 ? 0 : 1 + below(rng, s->max_context - e.n_tokens + 1);
    if (below(rng, 8) == 0)
        e.n_choices = 1 + below(rng, s->max_seqs);
    if (below(rng, 4) == 0)
        e.priority = below(rng, 4);
    e.family = below(rng, 3);
    e.n_shared = below(rng, 4) == 0 ? 0 : below(rng, s->max_context);
    e.rows_from = below(rng, 4) == 0 ? below(rng, e.n_tokens) : e.n_tokens - 1;
    e.salt = below(rng, 6) == 0;
    e.keeps_private = below(rng, 12) == 0;
    e.follows = below(rng, 6) == 0 && id > 0 ? 1 + below(rng, id) : 0;
    e.fails_at = below(rng, 15) == 0 ? 1 + below(rng, 10) : 0;
    return e;
}

void sim_make(uint64_t seed, sim_scenario *out) {
    rf_rng rng = rf_rng_make(seed, 5);
    memset(out, 0, sizeof *out);
    make_config(&rng, out);
    uint64_t now = 0, id = 0, gap = 1 + below(&rng, 30) * below(&rng, 1000);
    out->n_events = 1 + (uint32_t)below(&rng, 40);
    for (uint32_t i = 0; i < out->n_events; i++) {
        out->events[i] = make_event(&rng, out, now, id);
        id += out->events[i].kind == SIM_SUBMIT;
        now += below(&rng, gap + 1);
    }
}

/* ---- text ---------------------------------------------------------------------------------- */

static void print_record(FILE *file, const char *head, const void *record, const field *fields,
                         int n) {
    fprintf(file, "%s", head);
    for (int i = 0; i < n; i++) {
        uint64_t value;
        memcpy(&value, (const char *)record + fields[i].offset, sizeof value);
        if (value != fields[i].least)
            fprintf(file, " %s=%" PRIu64, fields[i].name, value);
    }
    fprintf(file, "\n");
}

void sim_print(FILE *file, const sim_scenario *scenario) {
    print_record(file, "config", scenario, config_fields, N_CONFIG);
    for (uint32_t i = 0; i < scenario->n_events; i++)
        print_record(file, "event", &scenario->events[i], event_fields, N_EVENT);
}

static bool parse_word(const char *word, void *record, const field *fields, int n) {
    const char *equals = strchr(word, '=');
    for (int i = 0; equals && i < n; i++) {
        size_t len = (size_t)(equals - word);
        if (strlen(fields[i].name) != len || strncmp(fields[i].name, word, len) != 0)
            continue;
        uint64_t value = strtoull(equals + 1, NULL, 10);
        *at(record, &fields[i]) = value;
        return value >= fields[i].least && value <= fields[i].most;
    }
    return false;
}

static bool parse_line(char *line, sim_scenario *out) {
    char *rest = NULL, *word = strtok_r(line, " \n", &rest);
    if (!word || word[0] == '#')
        return true;
    bool is_event = strcmp(word, "event") == 0;
    if ((!is_event && strcmp(word, "config") != 0) || (is_event && out->n_events == SIM_MAX_EVENTS))
        return false;
    void *record = is_event ? (void *)&out->events[out->n_events++] : (void *)out;
    const field *fields = is_event ? event_fields : config_fields;
    int n = is_event ? N_EVENT : N_CONFIG;
    for (int i = 0; i < n; i++)
        *at(record, &fields[i]) = fields[i].least;
    while ((word = strtok_r(NULL, " \n", &rest)))
        if (!parse_word(word, record, fields, n))
            return false;
    return true;
}

bool sim_parse(FILE *file, sim_scenario *out) {
    char line[2048];
    memset(out, 0, sizeof *out);
    for (int i = 1; fgets(line, sizeof line, file); i++) {
        if (!parse_line(line, out)) {
            fprintf(stderr, "line %d of a scenario is not understood\n", i);
            return false;
        }
    }
    return out->max_seqs > 0;
}

/* ---- smaller ------------------------------------------------------------------------------- */

bool sim_fails(const sim_scenario *scenario, sim_outcome *out) {
    sim_outcome again;
    sim_run(scenario, out);
    if (out->failed)
        return true;
    sim_run(scenario, &again);
    if (again.trace == out->trace)
        return false;
    out->failed = true;
    (void)snprintf(out->text, sizeof out->text, "another order the second time");
    return true;
}

static bool fails(const sim_scenario *scenario) {
    sim_outcome outcome;
    return sim_fails(scenario, &outcome);
}

static bool drop_events(sim_scenario *scenario) {
    static sim_scenario trial;
    bool smaller = false;
    for (uint32_t n = scenario->n_events / 2; n > 0; n /= 2) {
        for (uint32_t i = 0; i + n <= scenario->n_events;) {
            trial = *scenario;
            memmove(trial.events + i, trial.events + i + n,
                    (trial.n_events - i - n) * sizeof trial.events[0]);
            trial.n_events -= n;
            if (fails(&trial)) {
                *scenario = trial;
                smaller = true;
            } else {
                i += n;
            }
        }
    }
    return smaller;
}

/* Tries the least value, then halves, of one field. */
static bool lessen(sim_scenario *scenario, void *record, const field *f) {
    uint64_t *value = at(record, f), was = *value;
    for (uint64_t step = was - f->least; step > 0; step /= 2) {
        *value = was - step;
        if (fails(scenario))
            return true;
        *value = was;
    }
    return false;
}

void sim_shrink(sim_scenario *scenario) {
    bool smaller = true;
    for (int round = 0; smaller && round < 20; round++) {
        smaller = drop_events(scenario);
        for (uint32_t i = 0; i < scenario->n_events; i++)
            for (int f = 0; f < N_EVENT; f++)
                smaller |= strcmp(event_fields[f].name, "id") != 0 &&
                           strcmp(event_fields[f].name, "kind") != 0 &&
                           lessen(scenario, &scenario->events[i], &event_fields[f]);
        for (int f = 0; f < N_CONFIG; f++)
            smaller |= lessen(scenario, scenario, &config_fields[f]);
    }
}
