/* A file of a test's own: made empty before its group runs, gone after it. One thread. */
#ifndef RF_TESTS_TEMP_PATH_H
#define RF_TESTS_TEMP_PATH_H

extern char temp_path[];

/* Group set-up and tear-down of cmocka; 0 on success. */
int temp_path_make(void **state);
int temp_path_drop(void **state);

#endif
