/* The table of systems, graph/zoo/systems.tsv, as it is inside the library: the literature, what builds each row and
 * what proves it. The command line prints it and the tests iterate over it. */
#ifndef SY_ZOO_SYSTEMS_H
#define SY_ZOO_SYSTEMS_H

#include "graph/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texts are "" where the table says "-". */
typedef struct sy_system {
    const char *key, *title, *kind;
    int32_t tier;
    const char *builder; /* names with commas between; see the table's head for the forms */
    const char *check;   /* likewise */
    const char *show;
    bool runs; /* it has a builder and a check; else it is planned */
} sy_system;

typedef struct sy_systems {
    sy_system *rows;
    uint32_t count;
    char *text; /* what the rows point into */
} sy_systems;

/* Reads a table; keys are unique and every cell is there. NULL on error. */
sy_systems *sy_systems_parse(const char *text, size_t size, sy_error *error);
/* The one inside the library. */
sy_systems *sy_systems_create(sy_error *error);
void sy_systems_destroy(sy_systems **systems); /* NULL and pointers to NULL are fine */
const sy_system *sy_systems_find(const sy_systems *systems, const char *key);

/* The names of a list "a,b:c" one by one: *at is the list first and what is left afterwards. Copies the next name to
 * `name`, cut if it is too long; false at the end. */
bool sy_systems_next(const char **at, char name[64]);
/* False if `builder`, one name of a row's list, is a plain name that is in no registry of networks, or a setting that
 * the table of settings does not have. */
bool sy_systems_builder_known(const char *builder);

#endif
