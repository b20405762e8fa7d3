#version 450
// A tile of the size of the picture: the estimate of the clean picture, what two of them differ in, or how large a map's
// values are. A border of one texel repeats the edge.
#include "tap.glsl"

layout(local_size_x = 8, local_size_y = 8) in;
layout(rgba8, set = 0, binding = 6) writeonly uniform image2D tiles;

const uint PICTURE = 0;

float value(uint s, uint channel, uint x, uint y)
{
    return number(s, ((p.picture * p.channels + channel) * p.height + y) * p.width + x);
}

// As the finished picture is rounded. Latent codes have neither 1 nor 3 channels, and about unit variance.
float byte_of(uint channel, uint x, uint y)
{
    bool latent = p.channels != 1 && p.channels != 3;
    float v = value(0, min(channel, p.channels - 1), x, y) * (latent ? 0.4 : 1);
    float b = 127.5 * v + 128;
    return floor(b >= 255 ? 255 : b >= 0 ? b : 0);
}

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy;
    uint x = min(max(at.x, 1u) - 1, p.width - 1), y = min(max(at.y, 1u) - 1, p.height - 1);
    vec4 colour;
    if (p.kind == PICTURE && p.differ == 0) {
        colour = vec4(byte_of(0, x, y), byte_of(1, x, y), byte_of(2, x, y), 255) / 255;
    } else {
        float a = 0, b = 0, apart = 0;
        for (uint c = 0; c < p.channels; c++) {
            float u = value(0, c, x, y), v = p.differ != 0 ? value(1, c, x, y) : 0;
            a += abs(u);
            b += abs(v);
            apart += abs(u - v);
        }
        float n = float(p.channels);
        if (p.differ == 0 || p.kind == PICTURE)
            colour = size_colour(share_of(apart / n));
        else
            colour = difference_colour(p.high > 0 ? (a - b) / n / p.high : 0);
    }
    if (at.x < p.width + 2 && at.y < p.height + 2)
        imageStore(tiles, ivec2(p.x + at.x, p.y + at.y), colour);
}
