//@section all
// f16 and bf16 live in pairs in 32-bit words, the first in the low half. No 16-bit feature of the device is needed.
// bf16 is rounded to nearest even.

// No branch on the parity: a loop with one branch a load costs SwiftShader's compiler minutes.
float sy_f16(uint word, uint odd) { return unpackHalf2x16(word >> (16u * odd)).x; }
vec4 sy_f164(uvec2 w) { return vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y)); }
float sy_bf16(uint word, uint odd) { return uintBitsToFloat(word >> (16u * odd) << 16); }
vec4 sy_bf164(uvec2 w) { return uintBitsToFloat(uvec4(w.x << 16, w.x & 0xffff0000u, w.y << 16, w.y & 0xffff0000u)); }

uint sy_to_f16(float x) { return packHalf2x16(vec2(x, 0.0)); }
uvec2 sy_to_f164(vec4 x) { return uvec2(packHalf2x16(x.xy), packHalf2x16(x.zw)); }
uint sy_to_bf16(float x)
{
    uint b = floatBitsToUint(x);
    return isnan(x) ? 0x7fc0u : (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
}
uvec2 sy_to_bf164(vec4 x)
{
    return uvec2(sy_to_bf16(x.x) | sy_to_bf16(x.y) << 16, sy_to_bf16(x.z) | sy_to_bf16(x.w) << 16);
}

float sy_round_f16(float x) { return unpackHalf2x16(packHalf2x16(vec2(x, 0.0))).x; }
vec4 sy_round_f16(vec4 x) { return sy_f164(sy_to_f164(x)); }
float sy_round_bf16(float x) { return uintBitsToFloat(sy_to_bf16(x) << 16); }
vec4 sy_round_bf16(vec4 x) { return sy_bf164(sy_to_bf164(x)); }

