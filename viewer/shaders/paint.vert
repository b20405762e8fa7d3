// Widgets and pictures: pixels of the window to its clip space.
#version 450
layout(location = 0) in vec2 place;
layout(location = 1) in vec2 uv;
layout(location = 2) in vec4 colour;
layout(push_constant) uniform constants { vec2 two_by_size; };
layout(location = 0) out vec2 out_uv;
layout(location = 1) out vec4 out_colour;

void main()
{
    out_uv = uv;
    out_colour = colour;
    gl_Position = vec4(place * two_by_size - 1.0, 0.0, 1.0);
}
