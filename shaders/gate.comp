// Sizes of the dispatches of a program with a condition: the first n words are the sizes, the next n what the indirect
// dispatches read: the same where the condition is not 0, else nothing to do.
#version 450
layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 0) readonly buffer Condition { int on[]; };
layout(std430, set = 0, binding = 1) buffer Sizes { uint words[]; };
layout(push_constant) uniform Push { uint n; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i < n)
        words[n + i] = on[0] != 0 ? words[i] : 0u;
}
