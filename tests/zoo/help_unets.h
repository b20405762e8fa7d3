/* Headers of U-Nets at the published sizes, written down from the lists of names and shapes that the publications give
 * (and not from our builders, which test_unet_sizes holds against them). There is no data behind them. */
#ifndef SY_TESTS_ZOO_HELP_UNETS_H
#define SY_TESTS_ZOO_HELP_UNETS_H

#include "graph/base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum unet_kind { UNET_ADM, UNET_SONG, UNET_DHARIWAL, UNET_DIC } unet_kind;

typedef struct unet_size {
    const char *name;
    unet_kind kind;
    int side, width;
    double mult[8];    /* of the width, level by level; ends with 0. DiC: blocks of the five stages */
    int blocks;        /* a level */
    int attention;     /* smallest down-sampling factor at which blocks attend … */
    int attention_end; /* … and the largest */
    int channels, channels_out, classes;
    bool ncsn; /* NCSN++: Fourier features, pyramid, filter of four taps */
    uint64_t values;
    uint32_t tensors; /* 0: not given */
} unet_size;

extern const unet_size unet_sizes[]; /* ends with a NULL name */

/* The bytes of the file (header only) into out, with how many values and tensors it has; buffers are not counted. */
void unet_write(const unet_size *size, sy_text *out, uint64_t *values, uint32_t *tensors);

#endif
