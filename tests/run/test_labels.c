/* What a debugger sees: every dispatch stands in a label with its name, inside a region of its layer; regions are
 * balanced in every command buffer; pipelines, descriptor sets and command buffers have the names of layers. */
#include "graph/ir/build.h"
#include "graph/program.h"
#include "src/run/labels.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

enum { DEPTH = 8, SEEN = 64 };
static char open[DEPTH][128], seen[SEEN][2][128];
static uint32_t depth, n_seen, n_named, unlabelled;
static bool too_deep, named_pipeline, named_set, named_commands;

static VKAPI_ATTR void VKAPI_CALL begin_label(VkCommandBuffer c, const VkDebugUtilsLabelEXT *label)
{
    (void)c;
    if (depth < DEPTH)
        snprintf(open[depth], sizeof open[depth], "%s", label->pLabelName);
    too_deep = too_deep || depth >= DEPTH;
    depth++;
}

static VKAPI_ATTR void VKAPI_CALL end_label(VkCommandBuffer c)
{
    (void)c;
    CHECK(depth > 0);
    depth -= depth > 0;
}

static VKAPI_ATTR VkResult VKAPI_CALL set_name(VkDevice device, const VkDebugUtilsObjectNameInfoEXT *info)
{
    (void)device;
    n_named++;
    bool layer = strstr(info->pObjectName, "blocks.1.fc: matmul") != NULL;
    named_pipeline = named_pipeline || (info->objectType == VK_OBJECT_TYPE_PIPELINE && /* equal kernels are one pipeline */
                                        strstr(info->pObjectName, "; blocks.0.fc: matmul, and 2 more"));
    named_set = named_set || (info->objectType == VK_OBJECT_TYPE_DESCRIPTOR_SET && layer);
    named_commands = named_commands || (info->objectType == VK_OBJECT_TYPE_COMMAND_BUFFER &&
                                        strstr(info->pObjectName, "layers, part 1 of"));
    return VK_SUCCESS;
}

static PFN_vkCmdDispatch dispatch;
static PFN_vkEndCommandBuffer end_commands;

static VKAPI_ATTR void VKAPI_CALL count_dispatch(VkCommandBuffer c, uint32_t x, uint32_t y, uint32_t z)
{
    unlabelled += depth == 0;
    if (depth == 1 && !strcmp(open[0], "step counter")) { /* no part of the network */
        dispatch(c, x, y, z);
        return;
    }
    if (depth == 2 && n_seen < SEEN) {
        memcpy(seen[n_seen][0], open[0], sizeof open[0]);
        memcpy(seen[n_seen++][1], open[1], sizeof open[1]);
    } else if (depth == 1 && n_seen < SEEN) {
        seen[n_seen][0][0] = '\0';
        memcpy(seen[n_seen++][1], open[0], sizeof open[0]);
    }
    dispatch(c, x, y, z);
}

static VKAPI_ATTR VkResult VKAPI_CALL count_end(VkCommandBuffer c)
{
    CHECK(depth == 0);
    return end_commands(c);
}

static sy_graph *layers(void)
{
    sy_graph *g = sy_graph_create("layers");
    REQUIRE(g);
    sy_value x = sy_input(g, "x", SY_T(SY_F32, 20, 12)), w = sy_input(g, "w", SY_T(SY_F32, 12, 12));
    for (int i = 0; i < 3; i++) {
        sy_scope_push(g, "blocks.%d", i);
        x = sy_row(g, SY_OP_SOFTMAX, x, 0);
        sy_scope_push(g, "fc");
        x = sy_matmul(g, x, w, false);
        sy_scope_pop(g);
        sy_scope_pop(g);
    }
    sy_output(g, "y", sy_row(g, SY_OP_SOFTMAX, x, 0));
    REQUIRE(sy_graph_check(g, NULL));
    return g;
}

static void test_device(sy_vk_device *d)
{
    sy_error error = {0};
    sy_graph *g = layers();
    sy_program *p = sy_compile(g, &(sy_compile_params){.limits = &d->plan->limits}, &error);
    REQUIRE(p);
    d->instance->labels = true;
    d->instance->vk.vkCmdBeginDebugUtilsLabelEXT = begin_label;
    d->instance->vk.vkCmdEndDebugUtilsLabelEXT = end_label;
    d->instance->vk.vkSetDebugUtilsObjectNameEXT = set_name;
    dispatch = d->vk.vkCmdDispatch;
    end_commands = d->vk.vkEndCommandBuffer;
    d->vk.vkCmdDispatch = count_dispatch;
    d->vk.vkEndCommandBuffer = count_end;
    n_seen = n_named = unlabelled = depth = 0;
    named_pipeline = named_set = named_commands = false;
    sy_session *s = sy_session_create(&(sy_session_params){.device = d, .step = p}, &error);
    CHECK_SAY(s != NULL, "%s", error.message);
    CHECK(!too_deep && unlabelled == 0);
    REQUIRE(n_seen == p->n_dispatches && n_seen >= 7);
    for (uint32_t i = 0; i < n_seen; i++) {
        char layer[SY_LAYER_ROOM];
        const char *label = p->dispatches[i].label;
        sy_label_layer(label, layer);
        CHECK_TEXT(seen[i][0], layer);
        CHECK_TEXT(seen[i][1], label[0] == ':' ? label + 2 : label);
    }
    CHECK_TEXT(seen[3][0], "blocks.1");
    CHECK_TEXT(seen[3][1], "blocks.1.fc: matmul");
    CHECK(!strcmp(seen[n_seen - 1][0], "") && !strcmp(seen[n_seen - 1][1], "softmax"));
    CHECK(named_pipeline && named_set && named_commands);
    CHECK(n_named > 2 * p->n_dispatches);
    sy_session_destroy(&s);
    d->vk.vkCmdDispatch = dispatch;
    d->vk.vkEndCommandBuffer = end_commands;
    d->instance->labels = false;
    sy_program_destroy(&p);
    sy_graph_destroy(&g);
}

static void test_layers(void)
{
    static const char *const cases[][2] = {{"blocks.3.attn.qkv: matmul", "blocks.3"}, {"t_embedder.mlp.0: matmul", "t_embedder.mlp.0"},
                                           {": softmax", ""},                        {"final: copy", "final"},
                                           {"a.b.c: x", "a.b.c"},                    {"no colon", "no colon"},
                                           {"blocks.10: add", "blocks.10"},          {"", ""}};
    char layer[SY_LAYER_ROOM], longest[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sy_label_layer(cases[i][0], layer);
        CHECK_TEXT(layer, cases[i][1]);
    }
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    sy_label_layer(longest, layer);
    CHECK(strlen(layer) == SY_LAYER_ROOM - 1);
}

int main(void)
{
    test_layers();
    if (!sy_test_devices(test_device))
        return check_skip("no Vulkan device");
    return check_done();
}
