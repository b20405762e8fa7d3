/* What a panel says, as numbers in a file: the script command `numbers FILE`. The tab that is shown gives them once all its
 * answers are there. */
#ifndef SY_VIEWER_NUMBERS_H
#define SY_VIEWER_NUMBERS_H

#include "viewer/app.h"

#include <cjson/cJSON.h>

bool numbers_wanted(const app *a);
/* Takes the object over and writes it; NULL: not yet. */
void numbers_give(app *a, cJSON *object);

#endif
