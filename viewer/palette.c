/* See palette.h. */
#include "viewer/palette.h"

#include <math.h>

const palette_colour palette_yes = {86, 180, 233}, palette_no = {40, 36, 34};

/* python3 tools/viewer/palette.py; the nearest two of the first 13 are 0.13 apart in Oklab for common sight and 0.076 for
 * deuteranopia, of all 64 0.039 and 0.036 (a step just seen is about 0.02). */
static const palette_colour experts[PALETTE_SIZE] = {
    {230, 159, 0}, {86, 180, 233}, {0, 158, 115}, {240, 228, 66}, {0, 114, 178}, {213, 94, 0},
    {204, 121, 167}, {114, 252, 252}, {153, 46, 3}, {121, 216, 162}, {46, 40, 234}, {92, 84, 101},
    {115, 122, 245}, {230, 248, 180}, {112, 108, 89}, {205, 1, 149}, {143, 215, 253}, {100, 181, 119},
    {136, 194, 198}, {175, 72, 3}, {109, 38, 184}, {109, 148, 223}, {166, 211, 98}, {158, 235, 201},
    {93, 86, 254}, {193, 231, 143}, {201, 48, 194}, {29, 106, 140}, {209, 144, 69}, {129, 134, 67},
    {117, 76, 64}, {138, 13, 154}, {158, 217, 216}, {158, 176, 161}, {14, 116, 220}, {148, 199, 120},
    {173, 113, 181}, {240, 249, 123}, {68, 200, 232}, {211, 251, 218}, {62, 118, 123}, {27, 133, 212},
    {207, 215, 37}, {140, 161, 198}, {178, 129, 254}, {118, 122, 80}, {93, 150, 150}, {115, 95, 57},
    {79, 130, 114}, {98, 98, 98}, {164, 132, 99}, {58, 172, 131}, {144, 231, 255}, {134, 84, 155},
    {127, 181, 196}, {214, 123, 25}, {123, 34, 210}, {240, 191, 177}, {103, 76, 174}, {215, 220, 175},
    {118, 209, 225}, {244, 148, 179}, {240, 177, 139}, {207, 234, 228}};

static const palette_colour sizes[] = {{0, 32, 77},     {0, 47, 111},    {42, 63, 109},   {72, 80, 109},  {95, 97, 110},
                                       {116, 114, 117}, {138, 132, 121}, {163, 152, 118}, {190, 172, 110}, {218, 194, 96},
                                       {247, 217, 74},  {255, 234, 70}};
static const palette_colour differences[] = {{170, 220, 255}, {70, 150, 225}, {25, 70, 120}, {22, 24, 28},
                                             {120, 70, 15},   {225, 140, 35}, {255, 222, 160}};

palette_colour palette_expert(uint32_t index)
{
    return experts[index % PALETTE_SIZE];
}

static palette_colour between(const palette_colour *stops, int n, float share)
{
    float at = (share > 0 ? share < 1 ? share : 1 : 0) * (float)(n - 1); /* NaN: 0 */
    int i = (int)at < n - 1 ? (int)at : n - 2;
    float part = at - (float)i;
    palette_colour a = stops[i], b = stops[i + 1];
    return (palette_colour){(uint8_t)lrintf((float)a.r + part * (float)(b.r - a.r)),
                            (uint8_t)lrintf((float)a.g + part * (float)(b.g - a.g)),
                            (uint8_t)lrintf((float)a.b + part * (float)(b.b - a.b))};
}

palette_colour palette_size(float share)
{
    return between(sizes, (int)(sizeof sizes / sizeof *sizes), share);
}

palette_colour palette_difference(float share)
{
    return between(differences, (int)(sizeof differences / sizeof *differences), share / 2 + 0.5f);
}
