/* Characters of Unicode: what text in prompts is cut by. Pure functions. */
#ifndef SY_BASE_UNICODE_H
#define SY_BASE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at text[0] of `size` bytes of UTF-8, at least 1; *used gets its bytes. A byte that begins none is
 * U+FFFD by itself. */
uint32_t sy_unicode_at(const char *text, size_t size, size_t *used);
/* As UTF-8 into out; returns the bytes. */
int sy_unicode_put(uint32_t c, char out[4]);
bool sy_unicode_letter(uint32_t c); /* general category L */
bool sy_unicode_number(uint32_t c); /* N */
bool sy_unicode_space(uint32_t c);  /* White_Space */
/* The one character of its lower case; itself where there is none or it is several. */
uint32_t sy_unicode_lower(uint32_t c);

/* The tables behind them (unicode_table.c), ascending. */
typedef struct sy_unicode_range {
    uint32_t first, last;
} sy_unicode_range;
typedef struct sy_unicode_run {
    uint32_t first, last, step;
    int32_t to;
} sy_unicode_run;
extern const sy_unicode_range sy_unicode_letters[], sy_unicode_numbers[];
extern const sy_unicode_run sy_unicode_lower_runs[];
extern const int sy_unicode_letters_count, sy_unicode_numbers_count, sy_unicode_lower_runs_count;

#endif
