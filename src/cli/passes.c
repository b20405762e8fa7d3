/* The names of the compiler's passes, for `switchyard compile --passes`: apart from the rest, for the compiler's inside
 * and the public interface use one name for two things. */
#include "src/cli/commands.h"

#include "graph/passes/plan.h"

const char *sy_cli_pass(uint32_t index, const char **doc)
{
    for (uint32_t i = 0; i < index; i++)
        if (!sy_pipeline[i].name)
            return NULL;
    *doc = sy_pipeline[index].doc;
    return sy_pipeline[index].name;
}
