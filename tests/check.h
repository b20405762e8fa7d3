/* The whole test framework: a failed check prints where and what, and the program goes on; main ends with
 * `return check_done();`. Skips exit 77 and say why. */
#ifndef SY_TESTS_CHECK_H
#define SY_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failures, check_count;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(condition)) {                                                                        \
            check_failures++;                                                                      \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
        }                                                                                          \
    } while (0)

/* CHECK with a printf-style explanation of the values involved. */
#define CHECK_SAY(condition, ...)                                                                  \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(condition)) {                                                                        \
            check_failures++;                                                                      \
            fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #condition);                \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT(got, wanted)                                                                    \
    do {                                                                                           \
        const char *check_got = (got), *check_wanted = (wanted);                                   \
        CHECK_SAY(check_got && !strcmp(check_got, check_wanted), "got\n%s\nwanted\n%s",            \
                  check_got ? check_got : "(null)", check_wanted);                                 \
    } while (0)

/* A check that must hold for the test to make sense at all. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        int check_before = check_failures;                                                         \
        CHECK(condition);                                                                          \
        if (check_failures != check_before)                                                        \
            exit(1);                                                                               \
    } while (0)

static inline int check_done(void)
{
    if (check_count == 0) {
        fprintf(stderr, "no check was made\n");
        return 1;
    }
    printf("%d checks, %d failed\n", check_count, check_failures);
    return check_failures ? 1 : 0;
}

static inline int check_skip(const char *why)
{
    printf("skipped: %s\n", why);
    return 77;
}

#endif
