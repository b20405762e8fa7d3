/* Settings by name: the table of graph/zoo/settings.def, and reading what a caller or a model file says. */
#ifndef SY_ZOO_SETTINGS_H
#define SY_ZOO_SETTINGS_H

#include "graph/zoo/zoo.h"

typedef struct sy_setting_row {
    const char *name, *value, *where, *doc;
    double least, most;
    int32_t count; /* most numbers; 0: one of the words of `value` */
} sy_setting_row;
extern const sy_setting_row sy_setting_table[]; /* ends with a row whose name is NULL */

const sy_setting_row *sy_setting_find(const char *name); /* NULL if there is none */

/* True if every setting of the caller is one of the table, given once, with a value that is possible, and does
 * something for this network. Errors name the nearest setting, or the values there are. */
bool sy_settings_check(const sy_network_config *config, sy_error *error);

/* What is said of a setting: by the caller, else by the file; NULL if nothing is. */
const char *sy_setting_text(const sy_network_config *config, const char *name);
/* One number, `otherwise` where nothing is said. False (with a message) if it is no number or out of range. */
bool sy_setting_number(const sy_network_config *config, const char *name, double otherwise, double *value,
                       sy_error *error);
/* Which of the words of the row's `value` is said, from 0 on; 0 where nothing is. */
bool sy_setting_choice(const sy_network_config *config, const char *name, int32_t *choice, sy_error *error);

#endif
