/* What the writer and the reader of a report's JSON share. */
#ifndef SY_PROFILE_JSON_H
#define SY_PROFILE_JSON_H

#include "src/profile/report.h"

#include <cjson/cJSON.h>

enum { SY_PROFILE_MOST = 1 << 20 }; /* entries of a list in a report that is read */

#endif
