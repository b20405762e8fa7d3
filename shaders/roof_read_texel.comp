/* The same as roof_read.comp through a uniform texel buffer. */
#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) uniform utextureBuffer a;
layout(set = 0, binding = 1) writeonly buffer B { uint value[]; } b;
layout(push_constant) uniform P { uint mask; };

void main()
{
    uint first = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 512u + gl_LocalInvocationID.x;
    uvec4 sum = uvec4(0u);
    for (uint i = 0u; i < 8u; i++)
        sum ^= texelFetch(a, int((first + 64u * i) & mask));
    b.value[gl_GlobalInvocationID.x & 4095u] = sum.x ^ sum.y ^ sum.z ^ sum.w;
}
