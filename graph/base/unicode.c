/* See the header. */
#include "graph/base/unicode.h"

uint32_t sy_unicode_at(const char *text, size_t size, size_t *used)
{
    enum { REPLACEMENT = 0xfffd };
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)text;
    size_t n = u[0] < 0x80 ? 1 : u[0] >> 5 == 6 ? 2 : u[0] >> 4 == 14 ? 3 : u[0] >> 3 == 30 ? 4 : 0;
    *used = 1;
    if (n == 1)
        return u[0];
    if (!n || n > size)
        return REPLACEMENT;
    uint32_t c = u[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (u[i] >> 6 != 2)
            return REPLACEMENT;
        c = c << 6 | (u[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return REPLACEMENT;
    *used = n;
    return c;
}

int sy_unicode_put(uint32_t c, char out[4])
{
    int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint32_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

static bool among(const sy_unicode_range *ranges, int count, uint32_t c)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && c >= ranges[low].first;
}

bool sy_unicode_letter(uint32_t c)
{
    if (c < 0x80)
        return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    return among(sy_unicode_letters, sy_unicode_letters_count, c);
}

bool sy_unicode_number(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    return among(sy_unicode_numbers, sy_unicode_numbers_count, c);
}

bool sy_unicode_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

uint32_t sy_unicode_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 0x20 : c;
    int low = 0, high = sy_unicode_lower_runs_count;
    while (low < high) { /* runs with step 2 may interleave with none: last is ascending */
        int middle = (low + high) / 2;
        if (c > sy_unicode_lower_runs[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == sy_unicode_lower_runs_count)
        return c;
    const sy_unicode_run *run = &sy_unicode_lower_runs[low];
    return c >= run->first && (c - run->first) % run->step == 0 ? (uint32_t)((int32_t)c + run->to) : c;
}
