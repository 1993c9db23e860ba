#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "gguf/gguf.h"

static volatile sig_atomic_t asked, patient_mode, reloads, reload_asked;

static void on_stop(int signal_number) {
    if (signal_number == SIGHUP && reloads) {
        reload_asked = 1;
        return;
    }
    if (asked && !patient_mode)
        _exit(128 + signal_number);
    asked = signal_number;
}

static void say(const char *text) {
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_bus(int signal_number, siginfo_t *info, void *context) {
    (void)signal_number;
    (void)context;
    const char *path = rf_gguf_path_at(info->si_addr);
    say("error: ");
    say(path ? path : "a mapped file");
    say(": the file shrank or could not be read while it was in use; fetch or copy it again\n");
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
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    action.sa_sigaction = on_bus;
    action.sa_flags = SA_SIGINFO;
    (void)sigaction(SIGBUS, &action, NULL);
}

bool rf_interrupted(void) { return asked != 0; }
void rf_interrupt_clear(void) { asked = 0; }
void rf_interrupt_patient(bool patient) { patient_mode = patient; }
void rf_interrupt_reloads(void) { reloads = 1; }
bool rf_interrupt_take_reload(void) {
    bool was_asked = reload_asked != 0;
    reload_asked = 0;
    return was_asked;
}
int rf_interrupt_exit_status(void) { return 128 + (asked ? (int)asked : SIGINT); }

rf_status rf_interrupt_check(rf_error *err) {
    return asked ? rf_fail(err, RF_ERR_INTERRUPTED, "interrupted") : RF_OK;
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
