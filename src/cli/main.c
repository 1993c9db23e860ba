#include <stdio.h>

int main(void) {
    (void)fputs("rocmforge\n", stderr);
    return 2;
}
