/* The reader of device snapshots under libFuzzer: any JSON gives a snapshot or an error, a snapshot a plan or an explained refusal,
 * and what was read is written and read back the same. */
#include "src/device/plan.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static void check_round_trip(const sy_device_snapshot *snapshot)
{
    sy_error error = {0};
    sy_device_snapshot *again = calloc(1, sizeof *again);
    cJSON *object = sy_snapshot_to_json(snapshot);
    if (again && object) {
        if (!sy_snapshot_from_json(object, again, &error))
            abort();
        cJSON *second = sy_snapshot_to_json(again);
        if (second && !cJSON_Compare(object, second, true))
            abort();
        cJSON_Delete(second);
    }
    cJSON_Delete(object);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_error error = {0};
    cJSON *object = cJSON_ParseWithLength((const char *)data, size);
    sy_device_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (object && snapshot) {
        if (sy_snapshot_from_json(object, snapshot, &error)) {
            sy_device_plan plan;
            sy_plan_make(snapshot, &plan);
            if (!plan.usable && !plan.refusal[0])
                abort();
            check_round_trip(snapshot);
        } else if (!error.message[0]) {
            abort();
        }
    }
    cJSON_Delete(object);
    free(snapshot);
    return 0;
}
