/*
 * Signals: SIGINT, SIGTERM and SIGHUP ask the program to stop (a second one ends it at once),
 * SIGPIPE is ignored, SIGBUS means that a mapped model file shrank. Handlers run on any thread;
 * the functions belong to the main thread.
 */
#ifndef RF_CLI_INTERRUPT_H
#define RF_CLI_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

void rf_interrupt_install(void);
bool rf_interrupted(void);
void rf_interrupt_clear(void);
/* While patient, any number of signals only ask: Ctrl-C stops an answer, never the chat. */
void rf_interrupt_patient(bool patient);
/* SIGHUP asks for files to be read again instead, from now on; take tells that it came. */
void rf_interrupt_reloads(void);
bool rf_interrupt_take_reload(void);
int rf_interrupt_exit_status(void); /* 128 + the signal that asked, or 130 */
/* RF_ERR_INTERRUPTED once somebody asked. */
RF_NODISCARD rf_status rf_interrupt_check(rf_error *err);

/* Threads created in between inherit blocked signals, so that reads of the main thread end. */
void rf_interrupt_block(bool block);

/* For backends: shows progress and cancels when somebody asked. */
bool rf_interrupt_progress(void *user, uint64_t done, uint64_t total);

#endif
