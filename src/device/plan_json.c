/* A plan as JSON: the `verdict` of `switchyard devices --json`. For people and their tools; it is never read back,
 * because a plan is made anew from its snapshot. */
#include "src/device/plan.h"

#include <cjson/cJSON.h>

static bool put(cJSON *object, const char *key, double value)
{
    return cJSON_AddNumberToObject(object, key, value) != NULL;
}

static bool put_texts(cJSON *object, const char *key, const char *const *texts, uint32_t n)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    bool ok = array != NULL;
    for (uint32_t i = 0; i < n && ok; i++)
        ok = cJSON_AddItemToArray(array, cJSON_CreateString(texts[i]));
    return ok;
}

static bool put_limits(cJSON *object, const sy_limits *l)
{
    cJSON *o = cJSON_AddObjectToObject(object, "limits");
    cJSON *matrix = o && l->matrix[0] ? cJSON_AddArrayToObject(o, "matrix") : NULL;
    for (int i = 0; matrix && i < 3; i++)
        cJSON_AddItemToArray(matrix, cJSON_CreateNumber(l->matrix[i]));
    return o && put(o, "sharedBytes", l->shared_bytes) && put(o, "invocations", l->invocations) &&
           put(o, "storageBuffers", l->storage_buffers) && put(o, "storageRange", (double)l->storage_range) &&
           put(o, "allocationBytes", (double)l->allocation_bytes) && put(o, "offsetAlignment", l->offset_alignment) &&
           put(o, "pushBytes", l->push_bytes) && put(o, "loopLimit", l->loop_limit) &&
           put(o, "subgroupSize", l->subgroup_size);
}

static bool put_memory(cJSON *object, const sy_device_plan *p)
{
    static const char *const keys[SY_MEMORY_USES] = {"device", "staging", "readback"};
    cJSON *o = cJSON_AddObjectToObject(object, "memoryTypes");
    for (int use = 0; use < SY_MEMORY_USES; use++) {
        cJSON *array = o ? cJSON_AddArrayToObject(o, keys[use]) : NULL;
        for (uint32_t i = 0; i < p->n_memory[use]; i++)
            if (!array || !cJSON_AddItemToArray(array, cJSON_CreateNumber(p->memory[use][i])))
                return false;
    }
    return o && put(object, "heapBytes", (double)p->heap_bytes) &&
           put(object, "budgetBytes", (double)p->budget_bytes) && cJSON_AddBoolToObject(object, "unified", p->unified);
}

static bool put_all(cJSON *o, const sy_device_plan *p)
{
    const char *quirks[64];
    uint32_t n_quirks = 0;
    for (int i = 0; sy_quirks[i].name; i++)
        if (p->quirks >> i & 1)
            quirks[n_quirks++] = sy_quirks[i].name;
    bool ok = cJSON_AddBoolToObject(o, "usable", p->usable) && put_texts(o, "quirks", quirks, n_quirks);
    if (!p->usable)
        return ok && cJSON_AddStringToObject(o, "refusal", p->refusal);
    return ok && cJSON_AddStringToObject(o, "tier", sy_tier_text(p->tier)) && put(o, "queueFamily", p->family) &&
           cJSON_AddBoolToObject(o, "dedicatedQueue", p->dedicated) &&
           cJSON_AddBoolToObject(o, "draws", p->draws) && cJSON_AddBoolToObject(o, "ownDrawQueue", p->own_draw_queue) &&
           put(o, "timestampBits", p->timestamp_bits) &&
           put_memory(o, p) && put_limits(o, &p->limits) && put(o, "submissionSeconds", p->submission_seconds) &&
           put_texts(o, "extensions", p->extensions, p->n_extensions) && put_texts(o, "notes", p->notes, p->n_notes);
}

cJSON *sy_plan_to_json(const sy_device_plan *plan)
{
    cJSON *object = cJSON_CreateObject();
    if (object && !put_all(object, plan)) {
        cJSON_Delete(object);
        object = NULL;
    }
    return object;
}
