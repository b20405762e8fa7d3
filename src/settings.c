/* The public list of settings: the rows of graph/zoo/settings.def. */
#include "graph/zoo/settings.h"
#include "src/switchyard.h"

bool sy_setting_at(uint32_t index, sy_setting_info *info)
{
    const sy_setting_row *row = sy_setting_table;
    while (row->name && index) {
        row++;
        index--;
    }
    if (!row->name)
        return false;
    *info = (sy_setting_info){.name = row->name,
                              .value = row->value,
                              .where = row->where,
                              .meaning = row->doc,
                              .least = row->least,
                              .most = row->most,
                              .count = (uint32_t)row->count};
    return true;
}
