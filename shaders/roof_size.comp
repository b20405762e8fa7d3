/* The size of an indirect dispatch of one workgroup. */
#version 450
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) writeonly buffer Size { uint groups[]; } size;

void main()
{
    size.groups[0] = size.groups[1] = size.groups[2] = 1u;
}
