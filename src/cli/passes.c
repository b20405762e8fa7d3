/* The names of the compiler's passes, for `switchyard compile --passes`: the one file of the commands that looks inside the
 * compiler. */
#include "src/cli/commands.h"

#include "graph/passes/plan.h"

const char *sy_cli_pass(uint32_t index, const char **doc)
{
    for (uint32_t i = 0; i < index; i++)
        if (!sy_passes[i].name)
            return NULL;
    *doc = sy_passes[index].doc;
    return sy_passes[index].name;
}
