/* How far two results are apart: known differences are found, of the picture that is asked for alone. */
#include "tests/check.h"
#include "viewer/apart.h"

#include <math.h>

enum { SIDE = 4, CHANNELS = 3, PICTURES = 2, PIXELS = SIDE * SIDE, VALUES = PIXELS * CHANNELS };

static float data[2][PICTURES * VALUES];
static uint8_t pictures[2][PICTURES * PIXELS * 3];

static sy_result result_of(int i)
{
    return (sy_result){.count = PICTURES, .width = SIDE, .height = SIDE, .channels = CHANNELS, .data = data[i], .pictures = pictures[i]};
}

static void fill(void)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < PICTURES * VALUES; j++)
            data[i][j] = (float)j / 64;
        for (int j = 0; j < PICTURES * PIXELS * 3; j++)
            pictures[i][j] = (uint8_t)(2 * j);
    }
}

static void check_found(void)
{
    apart f;
    fill();
    sy_result a = result_of(0), b = result_of(1);
    CHECK(apart_find(&a, &b, 1, &f) && f.values == VALUES && f.pixels == PIXELS && f.shown);
    CHECK(!f.differing && !f.pixels_differing && !f.levels && f.largest <= 0 && f.mean <= 0 && strstr(apart_text(&f), "every bit"));

    data[1][VALUES + 5] += 0.5f; /* of the second picture */
    data[1][VALUES + 9] -= 0.25f;
    CHECK(apart_find(&a, &b, 0, &f) && !f.differing);
    CHECK(apart_find(&a, &b, 1, &f) && f.differing == 2 && fabs(f.largest - 0.5) < 1e-9 && fabs(f.mean - 0.75 / VALUES) < 1e-9);
    CHECK(strstr(apart_text(&f), "Every pixel is equal"));

    pictures[1][PIXELS * 3 + 6] += 2; /* two channels of one pixel */
    pictures[1][PIXELS * 3 + 7] -= 1;
    CHECK(apart_find(&a, &b, 1, &f) && f.pixels_differing == 1 && f.levels == 2 && strstr(apart_text(&f), "too small to be seen"));
    pictures[1][PIXELS * 3 + 7] -= 40;
    CHECK(apart_find(&a, &b, 1, &f) && f.levels == 41 && strstr(apart_text(&f), "More than rounding"));

    data[1][VALUES + 5] = NAN;
    CHECK(apart_find(&a, &b, 1, &f) && f.not_finite == 1 && fabs(f.largest - 0.25) < 1e-9 && strstr(apart_text(&f), "no number"));
    a.pictures = b.pictures = NULL; /* a latent code */
    data[1][VALUES + 5] = data[0][VALUES + 5] + 1e-4f;
    data[1][VALUES + 9] = data[0][VALUES + 9];
    CHECK(apart_find(&a, &b, 1, &f) && !f.shown && f.differing == 1 && strstr(apart_text(&f), "Rounding"));
}

static void check_unlike(void)
{
    apart f;
    fill();
    sy_result a = result_of(0), b = result_of(1);
    CHECK(!apart_find(&a, &b, PICTURES, &f));
    b.width = SIDE / 2;
    CHECK(!apart_find(&a, &b, 0, &f));
    b = result_of(1);
    b.data = NULL;
    CHECK(!apart_find(&a, &b, 0, &f));
}

int main(void)
{
    check_found();
    check_unlike();
    return check_done();
}
