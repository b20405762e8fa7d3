/* What a run is made of, as JSON and in a few words. */
#ifndef SY_VIEWER_REQUEST_H
#define SY_VIEWER_REQUEST_H

#include "viewer/engine.h"

#include <cjson/cJSON.h>

/* The caller's (cJSON_Delete); NULL: no memory. */
cJSON *request_to_json(const engine_request *r);
/* False after writing what is wrong; *r is then as before. Fields that are missing are the model's defaults. */
bool request_from_json(engine_request *r, const cJSON *object, char *error, size_t size);
/* "owl, seed 3, 20 steps, expert 3 off": one line. */
void request_title(const engine_request *r, char *out, size_t size);
bool request_same(const engine_request *a, const engine_request *b);

#endif
