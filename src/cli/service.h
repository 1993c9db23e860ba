/*
 * What systemd wants to hear from a service: sd_notify's protocol, without its library. Nothing
 * happens where NOTIFY_SOCKET is not set. Main thread.
 */
#ifndef RF_CLI_SERVICE_H
#define RF_CLI_SERVICE_H

void rf_service_say(const char *state); /* "READY=1", "STOPPING=1" */
void rf_service_beat(void);             /* "WATCHDOG=1", as often as it is wanted */

#endif
