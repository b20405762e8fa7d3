#include "graph/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool sy_fail(sy_error *error, sy_code code, const char *format, ...)
{
    if (!error || error->code != SY_CODE_OK)
        return false;
    error->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

bool sy_fail_context(sy_error *error, const char *format, ...)
{
    if (!error || error->code == SY_CODE_OK)
        return false;
    char context[sizeof error->message];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(context, sizeof context - 3, format, args);
    va_end(args);
    if (n < 0)
        return false;
    strcat(context, ": ");
    size_t used = strlen(context), keep = strlen(error->message);
    if (used + keep >= sizeof context)
        keep = sizeof context - used - 1;
    memcpy(context + used, error->message, keep);
    context[used + keep] = '\0';
    memcpy(error->message, context, sizeof context);
    return false;
}

const char *sy_code_text(sy_code code)
{
    static const char *const text[] = {
#define X(name, text) text,
        SY_CODE_LIST(X)
#undef X
    };
    return (unsigned)code < sizeof text / sizeof *text ? text[code] : "unknown error";
}
