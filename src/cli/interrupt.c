#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

static volatile sig_atomic_t asked;
static char bus_text[512];
static size_t bus_text_bytes;

static void on_stop(int signal_number) {
    if (asked)
        _exit(128 + signal_number);
    asked = signal_number;
}

static void on_bus(int signal_number) {
    ssize_t ignored = write(STDERR_FILENO, bus_text, bus_text_bytes);
    (void)ignored;
    (void)signal_number;
    _exit(1);
}

static void stop_set(sigset_t *set) {
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
}

void rf_interrupt_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_stop; /* without SA_RESTART: a waiting read ends */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    struct sigaction old;
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup stays */
        (void)sigaction(SIGHUP, &action, NULL);
    action.sa_handler = on_bus;
    (void)sigaction(SIGBUS, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    rf_interrupt_guard("a mapped file");
}

bool rf_interrupted(void) { return asked != 0; }
void rf_interrupt_clear(void) { asked = 0; }
int rf_interrupt_exit_status(void) { return 128 + (asked ? (int)asked : SIGINT); }

rf_status rf_interrupt_check(rf_error *err) {
    return asked ? rf_fail(err, RF_ERR_INTERRUPTED, "interrupted") : RF_OK;
}

void rf_interrupt_guard(const char *path) {
    int n = snprintf(bus_text, sizeof bus_text,
                     "error: %.400s: the file shrank or could not be read while it was in use; "
                     "fetch or copy it again\n",
                     path);
    bus_text_bytes = n > 0 && (size_t)n < sizeof bus_text ? (size_t)n : sizeof bus_text - 1;
}

void rf_interrupt_block(bool block) {
    sigset_t set;
    stop_set(&set);
    (void)pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

bool rf_interrupt_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    rf_progress_update(done, total);
    return !asked;
}
