//@section all
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and four normals by Box and Muller.

uvec4 sy_philox(uvec4 c, uvec2 key)
{
    for (int i = 0; i < 10; i++) {
        uint high0, low0, high1, low1;
        umulExtended(0xD2511F53u, c.x, high0, low0);
        umulExtended(0xCD9E8D57u, c.z, high1, low1);
        c = uvec4(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// Words become uniform numbers ((w >> 9) + 0.5) / 2^23: exact in f32, and never 0 or 1.
vec4 sy_random_normal4(uvec2 key, uvec2 counter)
{
    vec4 u = (vec4(sy_philox(uvec4(counter, 0u, 0u), key) >> 9u) + 0.5) * 1.1920928955078125e-7;
    vec2 radius = sqrt(-2.0 * log(u.xz));
    vec4 angle = 6.28318531 * u.yyww - vec4(0.0, 1.57079633, 0.0, 1.57079633);
    return radius.xxyy * sy_cos(angle);
}

