// Counts the steps of a session: word 0 of the step buffer is the index of the running step. One invocation, after all
// else of a step; the barrier at the head of the next step makes it visible.
#version 450
layout(local_size_x = 1) in;
layout(std430, set = 0, binding = 0) buffer Step { uint words[]; };

void main()
{
    words[0] += 1u;
}
