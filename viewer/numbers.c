/* See numbers.h. */
#include "viewer/numbers.h"
#include "viewer/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool numbers_wanted(const app *a)
{
    return *a->numbers_path && !a->numbers_given;
}

void numbers_give(app *a, cJSON *object)
{
    if (!object)
        return;
    char *text = cJSON_Print(object);
    cJSON_Delete(object);
    a->numbers_error[0] = 0;
    if (!text)
        snprintf(a->numbers_error, sizeof a->numbers_error, "no memory");
    else
        file_write(a->numbers_path, text, strlen(text), a->numbers_error, sizeof a->numbers_error);
    free(text);
    a->numbers_given = true;
}
