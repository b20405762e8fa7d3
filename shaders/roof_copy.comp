/* Roof of memory: b = a, four words an invocation, again and again over a working set of `mask` + 1 such quads (a power of
 * two), so that caches can be measured as well as memory. */
#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer A { uvec4 value[]; } a;
layout(set = 0, binding = 1) writeonly buffer B { uvec4 value[]; } b;
layout(push_constant) uniform P { uint mask; };

void main()
{
    uint i = ((gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x) & mask;
    b.value[i] = a.value[i];
}
