#include "help_synthetic.h"

static void message(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "%s\n", text);
}

void test_device_open(test_device *d)
{
    const sy_vulkan_params vulkan = {0};
    sy_context_params params = {.vulkan = &vulkan, .message = message};
    sy_vulkan handles;
    REQUIRE(sy_context_create(&params, &d->context) == SY_OK);
    if (sy_context_vulkan(d->context, NULL, &handles) != SY_OK || !handles.queue) {
        printf("skipped: no device that can draw: %s\n", sy_context_message(d->context));
        exit(77);
    }
    REQUIRE(gpu_open(&d->gpu, &handles));
}

void test_device_close(test_device *d)
{
    gpu_close(&d->gpu);
    REQUIRE(sy_context_validation_messages(d->context) == 0); /* CHECK would count for this file alone */
    sy_context_destroy(&d->context);
}

void test_history_make(test_history *h, gpu *g, uint32_t count, uint32_t side, uint32_t grid, uint32_t evaluations,
                       bool guided)
{
    *h = (test_history){.g = g};
    h->history = (sy_history){.taps = h->taps,
                              .evaluations = h->evaluations,
                              .n_evaluations = evaluations,
                              .count = count,
                              .width = side,
                              .height = side,
                              .channels = 3,
                              .tokens_per_picture = grid * grid,
                              .grid_width = grid,
                              .grid_height = grid};
    for (uint32_t e = 0; e < evaluations; e++)
        h->evaluations[e] = (sy_evaluation){.step = e, .row = e, .guided = guided, .ran = true, .program = "full"};
    REQUIRE(gpu_buffer_create(g, 4 << 20, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, GPU_HOST_WRITE, &h->buffer));
}

void test_history_free(test_history *h)
{
    gpu_buffer_destroy(h->g, &h->buffer);
}

static uint32_t *slice(test_history *h, uint32_t tap, uint32_t evaluation, uint32_t words)
{
    h->used |= 1; /* never where a binding may begin */
    REQUIRE(((uint64_t)h->used + words) * 4 <= h->buffer.bytes);
    uint32_t *at = (uint32_t *)h->buffer.mapped + h->used;
    h->slices[tap][evaluation] = (sy_history_slice){h->buffer.handle, (VkDeviceSize)h->used * 4, (VkDeviceSize)words * 4, 0};
    h->used += words;
    return at;
}

static uint32_t add_tap(test_history *h, const char *name, bool is_route)
{
    uint32_t tap = h->history.n_taps++;
    REQUIRE(tap < TEST_TAPS);
    h->taps[tap] = (sy_history_tap){name, is_route, &h->forms[tap], 1, h->slices[tap]};
    return tap;
}

static int by_target(const void *a, const void *b)
{
    const test_pair *x = a, *y = b;
    return x->target != y->target ? (x->target > y->target) - (x->target < y->target)
                                  : (x->row > y->row) - (x->row < y->row);
}

/* Sections in another order than the library's: nothing may count on one. */
uint32_t test_route(test_history *h, const char *name, int32_t rows, int32_t targets, test_pair *pairs, uint32_t n)
{
    uint32_t tap = add_tap(h, name, true), most = n + 5;
    sy_history_route r = {.n_rows = rows, .n_targets = targets, .n_slots = (int32_t)most};
    r.row_slots = 0;
    r.row_offsets = most;
    r.weights = r.row_offsets + (uint32_t)rows + 1;
    r.targets = r.weights + most;
    r.rows = r.targets + most;
    r.count = r.rows + most;
    r.offsets = r.count + 1;
    r.words = r.offsets + (uint32_t)targets + 1;
    h->forms[tap].route = r;
    for (uint32_t e = 0; e < h->history.n_evaluations; e++, pairs += n) {
        uint32_t *w = slice(h, tap, e, r.words), at = 0;
        memset(w, 0xEE, (size_t)r.words * 4);
        qsort(pairs, n, sizeof *pairs, by_target);
        w[r.count] = n;
        for (uint32_t s = 0; s < n; s++) {
            w[r.rows + s] = (uint32_t)pairs[s].row;
            w[r.targets + s] = (uint32_t)pairs[s].target;
            memcpy(&w[r.weights + s], &pairs[s].weight, 4);
        }
        for (int32_t row = 0; row < rows; row++) {
            w[r.row_offsets + (uint32_t)row] = at;
            for (uint32_t s = 0; s < n; s++)
                if (pairs[s].row == row)
                    w[r.row_slots + at++] = s;
        }
        w[r.row_offsets + (uint32_t)rows] = at;
    }
    return tap;
}

uint32_t test_values(test_history *h, const char *name, const float *values, uint32_t rank, const int32_t *dims)
{
    uint32_t tap = add_tap(h, name, false), n = 1;
    sy_array *a = &h->forms[tap].array;
    *a = (sy_array){.name = name, .type = SY_ARRAY_F32, .rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        a->dim[i] = dims[i];
        n *= (uint32_t)dims[i];
    }
    for (uint32_t e = 0; e < h->history.n_evaluations; e++)
        memcpy(slice(h, tap, e, n), values + (size_t)e * n, (size_t)n * 4);
    return tap;
}

void test_frame(overlay *o, gpu *g)
{
    VkCommandBuffer commands;
    REQUIRE(gpu_now_begin(g, &commands));
    overlay_record(o, commands);
    REQUIRE(gpu_now_end(g, &commands));
}

uint8_t *test_read(gpu *g, const overlay_tile *tile)
{
    uint32_t width = tile->width + 2, height = tile->height + 2;
    gpu_buffer buffer;
    VkCommandBuffer commands;
    REQUIRE(gpu_buffer_create(g, (VkDeviceSize)width * height * 4, VK_BUFFER_USAGE_TRANSFER_DST_BIT, GPU_HOST_READ, &buffer));
    REQUIRE(gpu_now_begin(g, &commands));
    gpu_image_barrier(g, commands, tile->image->handle, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
                      VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0,
                      VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    const VkBufferImageCopy copy = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                    .imageOffset = {(int32_t)tile->x - 1, (int32_t)tile->y - 1, 0},
                                    .imageExtent = {width, height, 1}};
    g->vk.vkCmdCopyImageToBuffer(commands, tile->image->handle, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer.handle, 1,
                                 &copy);
    gpu_image_barrier(g, commands, tile->image->handle, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                      VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
                      VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_ACCESS_SHADER_READ_BIT);
    REQUIRE(gpu_now_end(g, &commands));
    uint8_t *texels = malloc((size_t)width * height * 4);
    REQUIRE(texels != NULL);
    memcpy(texels, buffer.mapped, (size_t)width * height * 4);
    gpu_buffer_destroy(g, &buffer);
    return texels;
}

const uint8_t *test_texel(const uint8_t *texels, const overlay_tile *tile, uint32_t x, uint32_t y)
{
    return texels + ((size_t)(y + 1) * (tile->width + 2) + x + 1) * 4;
}

float test_random(void)
{
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 16777216.0f;
}
