/* Plans over stored snapshots of real devices (snapshots/README.md), and over hand-made ones for what no stored one
 * has. The table is what a person reading the report would choose; a device that Switchyard can use is never refused.
 */
#include "src/device/plan.h"
#include "tests/check.h"

#include <cjson/cJSON.h>
#include <dirent.h>

static const struct expected {
    const char *file;
    const char *refusal; /* begins with; NULL: usable */
    uint32_t family;
    bool dedicated;
    int memory[SY_MEMORY_USES]; /* first choice; -1: the report has no memory types */
    bool unified;
    uint32_t allocation_mib;
    uint32_t shared, invocations, buffers, alignment, push;
    sy_device_tier tier;
    const char *quirks;
} table[] = {
    /* clang-format off */
    {"amd-igpu-1638-windows", NULL, 1, 1, {1, 1, 3}, 1, 2048, 32768, 1024, 64, 4, 128,
     SY_TIER_HALF, "small-carve-out"},
    {"amd-igpu-1681-windows", NULL, 1, 1, {2, 1, 3}, 1, 2048, 32768, 1024, 64, 4, 256,
     SY_TIER_MATRIX, ""},
    {"amd-rx470-radv", NULL, 1, 1, {0, 2, 5}, 0, 3840, 65536, 1024, 64, 4, 256,
     SY_TIER_BASIC, ""},
    {"amd-rx5700-windows", NULL, 1, 1, {-1, -1, -1}, 0, 1024, 32768, 1024, 64, 4, 256,
     SY_TIER_MATRIX, ""},
    {"amd-rx5700xt-radv", NULL, 1, 1, {-1, -1, -1}, 0, 1024, 65536, 1024, 64, 4, 256,
     SY_TIER_HALF, ""},
    {"amd-rx6600-windows", NULL, 1, 1, {0, 1, 3}, 0, 2048, 65536, 1024, 64, 4, 128,
     SY_TIER_HALF, ""},
    {"amd-rx6650xt-windows", NULL, 1, 1, {0, 1, 3}, 0, 2048, 32768, 1024, 64, 4, 256,
     SY_TIER_MATRIX, ""},
    {"amd-rx7800xt-radv", NULL, 1, 1, {-1, -1, -1}, 0, 1024, 65536, 1024, 64, 4, 256,
     SY_TIER_MATRIX, ""},
    {"amd-rx9070xt-radv", NULL, 1, 1, {-1, -1, -1}, 0, 1024, 65536, 1024, 64, 4, 256,
     SY_TIER_MATRIX, ""},
    {"amd-rx9070xt-windows", NULL, 1, 1, {-1, -1, -1}, 0, 1024, 32768, 1024, 64, 4, 256,
     SY_TIER_MATRIX, ""},
    {"apple-m1-kosmickrisp", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 32768, 1024, 64, 16, 256,
     SY_TIER_HALF, ""},
    {"apple-m1-moltenvk", NULL, 0, 0, {1, 1, 1}, 1, 4096, 32768, 1024, 31, 16, 4096,
     SY_TIER_HALF, ""},
    {"apple-m5-moltenvk", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 32768, 1024, 31, 16, 4096,
     SY_TIER_HALF, ""},
    {"arm-mali-g57", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 32768, 512, 8, 64, 256,
     SY_TIER_HALF, ""},
    {"broadcom-v3d42", "The driver has Vulkan 1.0.155;"},
    {"broadcom-v3d71", "The report does not say which Vulkan version"},
    {"google-swiftshader", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 32768, 256, 30, 256, 128,
     SY_TIER_CPU, "software"},
    {"img-cxtp", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 32768, 1024, 8, 256, 128,
     SY_TIER_BASIC, ""},
    {"img-gx6250", "The driver has Vulkan 1.0.274;"},
    {"intel-a380-windows", NULL, 1, 1, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 64, 256,
     SY_TIER_MATRIX, ""},
    {"intel-a770-anv", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 4, 256,
     SY_TIER_MATRIX, ""},
    {"intel-adl-anv", NULL, 0, 0, {1, 1, 2}, 1, 4096, 65536, 1024, 64, 4, 128,
     SY_TIER_HALF, ""},
    {"intel-b580-windows", NULL, 1, 1, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 64, 256,
     SY_TIER_MATRIX, ""},
    {"intel-hd620-anv", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 4, 256,
     SY_TIER_HALF, ""},
    {"intel-lnl-anv", NULL, 1, 1, {1, 1, 2}, 1, 4096, 131072, 1024, 64, 4, 256,
     SY_TIER_BASIC, ""},
    {"intel-tgl-anv", NULL, 0, 0, {0, 0, 0}, 1, 2048, 65536, 2048, 64, 4, 128,
     SY_TIER_HALF, ""},
    {"local-lavapipe", NULL, 0, 0, {0, 0, 0}, 1, 2048, 32768, 1024, 32, 16, 128,
     SY_TIER_CPU, "loop-limit software"},
    {"local-swiftshader", NULL, 0, 0, {0, 0, 0}, 1, 1024, 32768, 256, 30, 256, 128,
     SY_TIER_CPU, "software"},
    {"mesa-lavapipe23", NULL, 0, 0, {0, 0, 0}, 1, 2048, 32768, 1024, 64, 16, 256,
     SY_TIER_CPU, "loop-limit software"},
    {"mesa-lavapipe26-macos", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 32768, 1024, 64, 16, 256,
     SY_TIER_CPU, "loop-limit software"},
    {"mesa-lavapipe26", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 32768, 1024, 64, 16, 256,
     SY_TIER_CPU, "loop-limit software"},
    {"moore-threads-s80", NULL, 0, 0, {-1, -1, -1}, 0, 1024, 28640, 1024, 8, 16, 128,
     SY_TIER_HALF, ""},
    {"nvidia-gtx1060-linux", NULL, 2, 1, {-1, -1, -1}, 0, 1024, 49152, 1536, 64, 16, 256,
     SY_TIER_BASIC, ""},
    {"nvidia-gtx1650-linux", NULL, 2, 1, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 16, 256,
     SY_TIER_HALF, ""},
    {"nvidia-nvk", "The report does not say which Vulkan version"},
    {"nvidia-rtx2050-windows", NULL, 2, 1, {1, 3, 4}, 0, 3964, 49152, 1024, 64, 16, 256,
     SY_TIER_MATRIX, ""},
    {"nvidia-rtx2070-linux", NULL, 2, 1, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 16, 256,
     SY_TIER_MATRIX, ""},
    {"nvidia-rtx3090-linux", NULL, 2, 1, {1, 3, 4}, 0, 4094, 49152, 1024, 64, 16, 256,
     SY_TIER_MATRIX, ""},
    {"nvidia-rtx4070-windows", NULL, 2, 1, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 16, 256,
     SY_TIER_MATRIX, ""},
    {"nvidia-rtx5080-windows", NULL, 2, 1, {-1, -1, -1}, 0, 1024, 49152, 1024, 64, 16, 256,
     SY_TIER_MATRIX, ""},
    {"qualcomm-adreno620", "The driver has Vulkan 1.1.128;"},
    {"qualcomm-adreno702-turnip", "The driver has Vulkan 1.0.311;"},
    {"qualcomm-adreno750-turnip", "The report does not say which Vulkan version"},
    /* clang-format on */
};

static char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    REQUIRE(file != NULL);
    char *text = calloc(1, 1 << 18);
    REQUIRE(text != NULL);
    *size = fread(text, 1, (1 << 18) - 1, file);
    fclose(file);
    return text;
}

static sy_device_snapshot *load(const char *name)
{
    char path[512];
    size_t size;
    sy_error error = {0};
    snprintf(path, sizeof path, "%s/tests/device/snapshots/%s.json", SY_SOURCE_DIR, name);
    char *text = read_whole(path, &size);
    sy_device_snapshot *snapshot = calloc(1, sizeof *snapshot);
    REQUIRE(snapshot != NULL);
    CHECK_SAY(sy_snapshot_from_text(text, size, snapshot, &error), "%s: %s", name, error.message);
    free(text);
    return snapshot;
}

/* What holds for every usable device, however odd its report. */
static void check_sane(const char *name, const sy_device_snapshot *s, const sy_device_plan *p)
{
    const sy_limits *l = &p->limits;
    CHECK_SAY(l->shared_bytes >= 16384 && l->invocations >= 128 && l->push_bytes >= 128, "%s", name);
    CHECK_SAY(l->storage_buffers >= 8 && l->storage_buffers <= 64, "%s", name);
    CHECK_SAY(l->storage_range >= 1 << 27 && l->storage_range % 4 == 0, "%s", name);
    CHECK_SAY(l->allocation_bytes >= (UINT64_C(1) << 30) && l->allocation_bytes < UINT64_C(1) << 40, "%s", name);
    CHECK_SAY(l->offset_alignment >= 4 && l->offset_alignment <= 256 &&
                  !(l->offset_alignment & (l->offset_alignment - 1)),
              "%s", name);
    for (int i = 0; i < 3; i++)
        CHECK_SAY(l->group_count[i] >= 65535 && l->group_count[i] <= INT32_MAX && l->group_size[i] >= 64, "%s", name);
    CHECK_SAY(!p->heap_bytes || (l->allocation_bytes <= p->heap_bytes && p->budget_bytes < p->heap_bytes), "%s", name);
    CHECK_SAY(p->n_queues >= 1 && (!s->n_families || p->family < s->n_families), "%s", name);
    CHECK_SAY(strstr(l->device, s->name) == l->device, "%s", name);
    CHECK_SAY((p->submission_seconds > 0) == !l->cpu, "%s", name);
    for (int use = 0; use < SY_MEMORY_USES; use++) {
        CHECK_SAY(!s->n_types || p->n_memory[use] > 0, "%s", name);
        for (uint32_t i = 0; i < p->n_memory[use]; i++) {
            uint32_t flags = s->types[p->memory[use][i]].flags;
            CHECK_SAY(!(flags & 0x1f0), "%s: type %u needs a feature", name, p->memory[use][i]);
            CHECK_SAY(use == SY_MEMORY_DEVICE || flags & 2, "%s: type %u cannot be mapped", name, p->memory[use][i]);
        }
    }
}

static void check_quirks(const char *name, const sy_device_plan *p, const char *wanted)
{
    char got[200] = "";
    for (int i = 0; sy_quirks[i].name; i++)
        if (p->quirks >> i & 1)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", *got ? " " : "", sy_quirks[i].name);
    CHECK_SAY(!strcmp(got, wanted), "%s: %s", name, got);
    CHECK_SAY((p->limits.loop_limit == 65535) == (strstr(got, "loop-limit") != NULL), "%s", name);
    CHECK_SAY(p->limits.cpu == (strstr(got, "software") != NULL), "%s", name);
}

static void test_stored(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct expected *e = &table[i];
        sy_device_snapshot *s = load(e->file);
        sy_device_plan p;
        sy_plan_make(s, &p);
        CHECK_SAY(p.usable == !e->refusal, "%s: %s", e->file, p.refusal);
        if (e->refusal) {
            CHECK_SAY(!strncmp(p.refusal, e->refusal, strlen(e->refusal)), "%s: %s", e->file, p.refusal);
        } else if (p.usable) {
            CHECK_SAY(p.family == e->family && p.dedicated == e->dedicated, "%s: family %u", e->file, p.family);
            for (int use = 0; use < SY_MEMORY_USES; use++) {
                int first = p.n_memory[use] ? p.memory[use][0] : -1;
                CHECK_SAY(first == e->memory[use], "%s: use %d gets type %d", e->file, use, first);
            }
            CHECK_SAY(p.unified == e->unified, "%s", e->file);
            CHECK_SAY(p.limits.allocation_bytes >> 20 == e->allocation_mib, "%s: %llu MiB", e->file,
                      (unsigned long long)(p.limits.allocation_bytes >> 20));
            CHECK_SAY(p.limits.shared_bytes == e->shared && p.limits.invocations == e->invocations &&
                          p.limits.storage_buffers == e->buffers && p.limits.offset_alignment == e->alignment &&
                          p.limits.push_bytes == e->push,
                      "%s", e->file);
            CHECK_SAY(p.tier == e->tier, "%s: %s", e->file, sy_tier_text(p.tier));
            check_quirks(e->file, &p, e->quirks);
            check_sane(e->file, s, &p);
        }
        /* Nothing with Vulkan 1.2 and 16 KiB of shared memory may be refused. */
        if (s->api_version >= (1u << 22 | 2u << 12) && s->limits.shared_bytes >= 16384)
            CHECK_SAY(p.usable, "%s: %s", e->file, p.refusal);
        free(s);
    }
}

/* Every stored file is in the table, and is what the writer makes of what the reader read. */
static void test_files(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/device/snapshots", SY_SOURCE_DIR);
    DIR *folder = opendir(path);
    REQUIRE(folder != NULL);
    size_t seen = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char name[300];
        size_t size;
        bool listed = false;
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json"))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            listed |= !strcmp(table[i].file, name);
        CHECK_SAY(listed, "%s is not in the table", name);
        seen++;
        sy_device_snapshot *s = load(name), *again = calloc(1, sizeof *again);
        snprintf(path, sizeof path, "%s/tests/device/snapshots/%s", SY_SOURCE_DIR, entry->d_name);
        char *stored = read_whole(path, &size);
        cJSON *object = sy_snapshot_to_json(s);
        char *written = object ? cJSON_Print(object) : NULL;
        REQUIRE(written && again);
        CHECK_SAY(strlen(written) + 1 == size && !strncmp(written, stored, size - 1), "%s changes when written again",
                  name);
        CHECK(sy_snapshot_from_text(written, strlen(written), again, NULL));
        CHECK_SAY(!memcmp(s, again, sizeof *s), "%s", name);
        free(written);
        cJSON_Delete(object);
        free(stored);
        free(again);
        free(s);
    }
    closedir(folder);
    CHECK(seen == sizeof table / sizeof *table);
}

/* A plain discrete device to bend. */
static sy_device_snapshot plain(void)
{
    sy_device_snapshot s = {
        .name = "test", .vendor_id = 0x10de, .type = SY_DEVICE_DISCRETE, .api_version = 1u << 22 | 3u << 12};
    s.limits.shared_bytes = 32768;
    s.n_heaps = 2;
    s.heaps[0].size = UINT64_C(8) << 30;
    s.heaps[0].flags = 1;
    s.heaps[1].size = UINT64_C(16) << 30;
    s.n_types = 3;
    s.types[0].flags = 1;
    s.types[1].heap = 1;
    s.types[1].flags = 2 | 4;
    s.types[2].heap = 1;
    s.types[2].flags = 2 | 4 | 8;
    s.n_families = 1;
    s.families[0].flags = 1 | 2 | 4;
    s.families[0].count = 1;
    return s;
}

static sy_device_plan plan_of(const sy_device_snapshot *s)
{
    sy_device_plan p;
    sy_plan_make(s, &p);
    return p;
}

static void test_refusals(void)
{
    sy_device_snapshot s = plain();
    CHECK(plan_of(&s).usable);
    s.limits.shared_bytes = 16383;
    CHECK(strstr(plan_of(&s).refusal, "16383 bytes of shared memory"));
    s.limits.shared_bytes = 16384;
    CHECK(plan_of(&s).usable);
    s.families[0].flags = 1 | 4;
    CHECK(strstr(plan_of(&s).refusal, "no queue that computes"));
    s.families[0].flags = 2;
    s.families[0].count = 0;
    CHECK(!plan_of(&s).usable);
    s = plain();
    s.n_types = 1;
    CHECK(strstr(plan_of(&s).refusal, "the host can map"));
    s = plain();
    s.api_version = 1u << 22 | 1u << 12 | 300;
    CHECK(strstr(plan_of(&s).refusal, "Vulkan 1.1.300; Switchyard needs 1.2"));
    s.api_version = 0;
    CHECK(strstr(plan_of(&s).refusal, "does not say which Vulkan version"));
}

static void test_bent(void)
{
    sy_device_snapshot s = plain();
    sy_device_plan p;
    s.limits.allocation_bytes = INT64_MAX; /* "no bound" */
    CHECK(plan_of(&s).limits.allocation_bytes == UINT64_C(8) << 30);
    s.limits.buffer_bytes = UINT64_C(3) << 30;
    CHECK(plan_of(&s).limits.allocation_bytes == UINT64_C(3) << 30);
    s.limits.allocation_bytes = 0;
    CHECK(plan_of(&s).limits.allocation_bytes == UINT64_C(1) << 30);
    s.limits.storage_alignment = 48; /* not a power of two: the largest that Vulkan allows is safe */
    CHECK(plan_of(&s).limits.offset_alignment == 256);
    s.limits.storage_alignment = 1;
    CHECK(plan_of(&s).limits.offset_alignment == 4);
    s.limits.texel_alignment = 64;
    s.limits.texel_elements = UINT32_MAX;
    CHECK(plan_of(&s).limits.offset_alignment == 64);
    CHECK(plan_of(&s).limits.texel_elements == 0); /* not a software driver */
    s.type = SY_DEVICE_CPU;
    CHECK(plan_of(&s).limits.texel_elements == 1u << 27);
    s = plain();
    s.limits.storage_range = UINT32_MAX;
    CHECK(plan_of(&s).limits.storage_range == UINT32_MAX - 3);
    s.limits.stage_storage_buffers = UINT32_MAX;
    s.limits.set_storage_buffers = 24;
    CHECK(plan_of(&s).limits.storage_buffers == 24);

    /* Cached but not coherent comes first in the driver's list: staging wants the coherent one, reading back the
     * cached. */
    s = plain();
    s.types[1].flags = 2 | 8;
    s.types[2].flags = 2 | 4;
    p = plan_of(&s);
    CHECK(p.memory[SY_MEMORY_STAGING][0] == 2 && p.memory[SY_MEMORY_READBACK][0] == 1);
    CHECK(p.memory[SY_MEMORY_DEVICE][0] == 0 && p.n_memory[SY_MEMORY_DEVICE] == 3 && !p.unified);
    s.types[0].flags = 1 | 32; /* protected: of no use */
    CHECK(plan_of(&s).memory[SY_MEMORY_DEVICE][0] != 0);

    /* A compute family beats one that draws; of two, the one with timestamps. */
    s = plain();
    s.n_families = 4;
    s.families[1].flags = s.families[2].flags = s.families[3].flags = 2 | 4;
    s.families[1].count = s.families[2].count = s.families[3].count = 2;
    s.families[2].timestamp_bits = 36;
    s.limits.timestamp_period = 52.08;
    p = plan_of(&s);
    CHECK(p.family == 2 && p.dedicated && p.n_queues == 2 && p.timestamp_bits == 36 && p.timestamp_period == 52.08);
    s.limits.timestamp_period = 0;
    p = plan_of(&s);
    CHECK(p.timestamp_bits == 0 && p.n_notes == 1);
    CHECK(p.draws && p.draw_family == 0 && p.draw_index == 0 && p.own_draw_queue);

    /* Without one, drawing gets the second queue of the family, or shares the only one. */
    s = plain();
    s.n_families = 1;
    s.families[0].count = 1;
    p = plan_of(&s);
    CHECK(p.draws && p.draw_family == p.family && p.draw_index == 0 && !p.own_draw_queue);
    s.families[0].count = 4;
    p = plan_of(&s);
    CHECK(p.draws && p.draw_family == p.family && p.draw_index == 1 && p.own_draw_queue);
    s.families[0].flags = 2;
    CHECK(!plan_of(&s).draws);

    s = plain();
    CHECK(sy_snapshot_add_extension(&s, "VK_KHR_portability_subset") &&
          sy_snapshot_add_extension(&s, "VK_EXT_memory_budget"));
    p = plan_of(&s);
    CHECK(p.n_extensions == 2 && !strcmp(p.extensions[0], "VK_KHR_portability_subset"));
    CHECK(plan_of(&s).timeline);
    s.features.timeline_semaphore = SY_NO;
    CHECK(plan_of(&s).usable && !plan_of(&s).timeline);

    s = plain(); /* another vendor's driver number brings none of its quirks */
    s.driver_id = 13;
    CHECK(plan_of(&s).quirks == 0 && plan_of(&s).limits.loop_limit == 0);
    s.vendor_id = 0x10005;
    CHECK(plan_of(&s).limits.loop_limit == 65535 && plan_of(&s).limits.cpu);
}

/* The verdict that goes into reports. */
static void test_verdict(void)
{
    sy_device_snapshot s = plain();
    sy_device_plan p = plan_of(&s);
    cJSON *json = sy_plan_to_json(&p);
    REQUIRE(json != NULL);
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(json, "usable")) && !cJSON_GetObjectItem(json, "refusal"));
    const cJSON *limits = cJSON_GetObjectItem(json, "limits"), *types = cJSON_GetObjectItem(json, "memoryTypes");
    CHECK(cJSON_GetNumberValue(cJSON_GetObjectItem(limits, "sharedBytes")) == 32768);
    CHECK(cJSON_GetNumberValue(cJSON_GetArrayItem(cJSON_GetObjectItem(types, "readback"), 0)) == 2);
    cJSON_Delete(json);
    s.api_version = 1u << 22;
    p = plan_of(&s);
    json = sy_plan_to_json(&p);
    REQUIRE(json != NULL);
    CHECK(cJSON_IsFalse(cJSON_GetObjectItem(json, "usable")) && !cJSON_GetObjectItem(json, "limits"));
    CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(json, "refusal")), p.refusal);
    cJSON_Delete(json);
}

static void test_extensions(void)
{
    sy_device_snapshot s = {0};
    CHECK(sy_snapshot_add_extension(&s, "VK_B") && sy_snapshot_add_extension(&s, "VK_A") &&
          sy_snapshot_add_extension(&s, "VK_BC") && sy_snapshot_add_extension(&s, "VK_B"));
    CHECK_TEXT(s.extensions, "VK_A VK_B VK_BC ");
    CHECK(sy_snapshot_has_extension(&s, "VK_B") && !sy_snapshot_has_extension(&s, "VK_") &&
          !sy_snapshot_has_extension(&s, "VK_BCD") && !sy_snapshot_has_extension(&s, "VK_C"));
    CHECK(!sy_snapshot_add_extension(&s, "") && !sy_snapshot_add_extension(&s, "VK A"));
    uint32_t added = 0;
    for (char name[32];
         snprintf(name, sizeof name, "VK_TEST_extension_%05u", added), sy_snapshot_add_extension(&s, name);)
        added++;
    CHECK(added == (sizeof s.extensions - 1 - 16) / 24);
}

/* Reports come from anybody: each of these is refused with the name of what is wrong. */
static void test_bad_files(void)
{
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"", "not JSON"},
        {"[1]", "JSON object"},
        {"{\"name\": 3}", "name"},
        {"{\"apiVersion\": \"one\"}", "apiVersion"},
        {"{\"apiVersion\": \"1.5000.0\"}", "apiVersion"},
        {"{\"deviceType\": \"toaster\"}", "deviceType"},
        {"{\"vendorID\": -1}", "vendorID"},
        {"{\"vendorID\": 4294967296}", "vendorID"},
        {"{\"vendorID\": 1.5}", "vendorID"},
        {"{\"vendorID\": \"0xzz\"}", "vendorID"},
        {"{\"driver\": []}", "driver"},
        {"{\"limits\": {\"maxPushConstantsSize\": \"99999999999\"}}", "maxPushConstantsSize"},
        {"{\"limits\": {\"maxComputeWorkGroupSize\": [1, 2]}}", "maxComputeWorkGroupSize"},
        {"{\"limits\": {\"timestampPeriod\": -1}}", "timestampPeriod"},
        {"{\"memoryTypes\": [{\"heap\": 0, \"flags\": []}]}", "heap"},
        {"{\"memoryHeaps\": [{\"size\": 1e300}]}", "size"},
        {"{\"memoryHeaps\": [7]}", "memoryHeaps"},
        {"{\"memoryHeaps\": [{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}", "memoryHeaps"},
        {"{\"queueFamilies\": [{\"flags\": [\"cooking\"]}]}", "cooking"},
        {"{\"features\": {\"shaderFloat16\": 1}}", "shaderFloat16"},
        {"{\"extensions\": [\"\"]}", "extensions"},
        {"{\"cooperativeMatrices\": [[1, 2]]}", "cooperativeMatrices"},
    };
    sy_device_snapshot *s = calloc(1, sizeof *s);
    REQUIRE(s != NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sy_error error = {0};
        CHECK_SAY(!sy_snapshot_from_text(bad[i].text, strlen(bad[i].text), s, &error), "%s", bad[i].text);
        CHECK_SAY(error.code == SY_CODE_INVALID_FILE && strstr(error.message, bad[i].word), "%s: %s", bad[i].text,
                  error.message);
    }
    static const char good[] = "{\"future\": {\"key\": 1}, \"features\": {\"int128\": true}, \"limits\": "
                               "{\"maxMemoryAllocationSize\": \"9223372036854775807\"}, \"name\": null}";
    CHECK(sy_snapshot_from_text(good, sizeof good - 1, s, NULL));
    CHECK(s->limits.allocation_bytes == INT64_MAX && !s->name[0]);
    free(s);
}

int main(void)
{
    test_stored();
    test_files();
    test_refusals();
    test_bent();
    test_verdict();
    test_extensions();
    test_bad_files();
    return check_done();
}
