/* Errors: a code and a message that says what went wrong, where, and what to do about it.
 *
 * Every function that can fail takes a `sy_error *` as its last parameter and returns false or NULL on
 * failure. The error belongs to the caller; NULL is allowed and means "I only want the result". Nothing in
 * the library prints or exits. Thread safety: an error object may be used by one thread at a time. */
#ifndef SY_BASE_ERROR_H
#define SY_BASE_ERROR_H

#include <stdbool.h>

/* One row a code: enumerator, text. The public header repeats the enumerators; src/ asserts they are equal. */
#define SY_CODE_LIST(X)                                                                            \
    X(OK, "ok")                                                                                    \
    X(INVALID_ARGUMENT, "invalid argument") /* the caller passed something that can never work */  \
    X(INVALID_FILE, "invalid file")         /* a file's content is not what it should be */        \
    X(NOT_FOUND, "not found")               /* a file, tensor, device or name does not exist */    \
    X(UNAVAILABLE, "unavailable")           /* this machine or device cannot do it; not a fault */ \
    X(OUT_OF_MEMORY, "out of memory")                                                              \
    X(IO, "input/output error")                                                                    \
    X(DEVICE, "device error")                                                                      \
    X(DEVICE_LOST, "device lost")                                                                  \
    X(CANCELLED, "cancelled")                                                                      \
    X(INTERNAL, "internal error") /* a broken invariant of ours: always a bug */

typedef enum sy_code {
#define X(name, text) SY_CODE_##name,
    SY_CODE_LIST(X)
#undef X
} sy_code;

typedef struct sy_error {
    sy_code code;
    char message[500]; /* complete sentence(s), no newline; "" when code is OK */
} sy_error;

/* Sets *error (unless NULL) and returns false, so that `return sy_fail(error, …)` reads well. A second
 * failure never overwrites the first: the first is the cause. */
bool sy_fail(sy_error *error, sy_code code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Puts "context: " in front of the message of a failed error, as it travels up. Returns false. */
bool sy_fail_context(sy_error *error, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

const char *sy_code_text(sy_code code);

#endif
