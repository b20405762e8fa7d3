/* Roof of memory: a = b + 3 c over arrays larger than any cache, four elements an invocation. */
#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer B { vec4 value[]; } b;
layout(set = 0, binding = 1) readonly buffer C { vec4 value[]; } c;
layout(set = 0, binding = 2) writeonly buffer A { vec4 value[]; } a;

void main()
{
    uint i = gl_GlobalInvocationID.x;
    a.value[i] = b.value[i] + 3.0 * c.value[i];
}
