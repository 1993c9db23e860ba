/*
 * Samplers as plain definitions, in doubles and with full sorts, from their papers and from
 * llama.cpp's behaviour. For tests: one thread.
 */
#ifndef RF_TESTS_SAMPLER_REFERENCE_H
#define RF_TESTS_SAMPLER_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "sample/sample_params.h"

enum { REF_MAX_VOCAB = 5000, REF_MAX_HISTORY = 512 };

typedef struct ref_item {
    int id;
    double logit, prob, key;
} ref_item;

typedef struct ref_list {
    ref_item items[REF_MAX_VOCAB];
    size_t n;
} ref_list;

/* What penalties and DRY see, oldest first, and Mirostat's allowed surprise in bits. */
extern int32_t ref_history[REF_MAX_HISTORY];
extern uint32_t ref_n_history;
extern double ref_mu;

void ref_sort(ref_list *l); /* best first, the lower id among equals */
int ref_by_id(const void *a, const void *b);

/* Each leaves the tokens that its sampler leaves, in any order. ref_xtc takes its chance always;
 * ref_mirostat truncates only. */
void ref_top_k(const rf_sample_params *p, ref_list *l);
void ref_top_p(const rf_sample_params *p, ref_list *l);
void ref_min_p(const rf_sample_params *p, ref_list *l);
void ref_typ_p(const rf_sample_params *p, ref_list *l);
void ref_top_n_sigma(const rf_sample_params *p, ref_list *l);
void ref_xtc(const rf_sample_params *p, ref_list *l);
void ref_temperature(const rf_sample_params *p, ref_list *l);
void ref_mirostat(const rf_sample_params *p, ref_list *l);
void ref_penalties(const rf_sample_params *p, ref_list *l);
void ref_dry(const rf_sample_params *p, ref_list *l);

#endif
