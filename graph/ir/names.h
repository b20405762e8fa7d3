/* Names to values: a hash table used by the parser, the printer and the verifier to find and to keep apart names
 * of several kinds. Inside graph/. */
#ifndef SY_IR_NAMES_H
#define SY_IR_NAMES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sy_names {
    struct sy_names_entry *entries; /* private */
    uint32_t count, room;
    bool failed; /* memory was out: what is not found may have been lost */
} sy_names;      /* zero is empty */

/* What was put under (kind, name), or 0. */
uint32_t sy_names_get(const sy_names *names, char kind, const char *name);
/* Puts `value` (not 0) there unless something is there already; returns what is there now, 0 if memory is out.
 * The name must outlive the table. */
uint32_t sy_names_put(sy_names *names, char kind, const char *name, uint32_t value);
void sy_names_free(sy_names *names);

#endif
