/* Histories with known content on a device, and tiles read back: what tests of the overlay stand on. */
#ifndef SY_TESTS_VIEWER_SYNTHETIC_H
#define SY_TESTS_VIEWER_SYNTHETIC_H

#include "viewer/overlay.h"

#include "tests/check.h"

/* The first Vulkan device that can draw. Exits 77 where there is none. */
typedef struct test_device {
    sy_context *context;
    gpu gpu;
} test_device;
void test_device_open(test_device *d);
void test_device_close(test_device *d); /* checks that the validation layer was silent */

/* A route in host memory: pairs in any order are sorted as the device would. */
typedef struct test_pair {
    int32_t row, target;
    float weight;
} test_pair;

/* A history made tap by tap. Slices lie in one buffer, each at an odd word. */
enum { TEST_TAPS = 12, TEST_EVALUATIONS = 4 };
typedef struct test_history {
    gpu *g;
    gpu_buffer buffer;
    uint32_t used; /* words */
    sy_history history;
    sy_history_tap taps[TEST_TAPS];
    sy_history_form forms[TEST_TAPS];
    sy_history_slice slices[TEST_TAPS][TEST_EVALUATIONS];
    sy_evaluation evaluations[TEST_EVALUATIONS];
} test_history;
void test_history_make(test_history *h, gpu *g, uint32_t count, uint32_t side, uint32_t grid, uint32_t evaluations,
                       bool guided);
void test_history_free(test_history *h);
/* Return the tap's number. `pairs`, `values`: of each evaluation, behind one another; n pairs an evaluation. */
uint32_t test_route(test_history *h, const char *name, int32_t rows, int32_t targets, test_pair *pairs, uint32_t n);
uint32_t test_values(test_history *h, const char *name, const float *values, uint32_t rank, const int32_t *dims);

/* Submits one frame of what was wanted and waits. */
void test_frame(overlay *o, gpu *g);
/* The tile's texels with their border: [height + 2][width + 2][4], the caller's to free. */
uint8_t *test_read(gpu *g, const overlay_tile *tile);
const uint8_t *test_texel(const uint8_t *texels, const overlay_tile *tile, uint32_t x, uint32_t y);

/* 0 … 1, the same sequence every time. */
float test_random(void);

#endif
