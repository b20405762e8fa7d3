/* The same as roof_copy.comp through a uniform texel buffer, which CPU drivers read faster. */
#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) uniform utextureBuffer a;
layout(set = 0, binding = 1) writeonly buffer B { uvec4 value[]; } b;
layout(push_constant) uniform P { uint mask; };

void main()
{
    uint i = ((gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x) & mask;
    b.value[i] = texelFetch(a, int(i));
}
