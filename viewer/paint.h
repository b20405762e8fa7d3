/* Paints what the gui drew (gui.h): its lists of triangles, each with a texture, in one render pass onto any image of the
 * format it was made for. Belongs to the drawing thread. */
#ifndef SY_VIEWER_PAINT_H
#define SY_VIEWER_PAINT_H

#include "viewer/gpu.h"
#include "viewer/gui.h"

enum { PAINT_FRAMES = 2, PAINT_SHOT = PAINT_FRAMES, PAINT_SLOTS, PAINT_TEXTURES = 512 };

typedef struct paint {
    gpu *g;
    VkFormat format;
    VkRenderPass to_copy, to_present; /* the second only where the device can present */
    VkDescriptorSetLayout set_layout;
    VkDescriptorPool sets;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    VkSampler smooth, nearest;
    gpu_buffer vertices[PAINT_SLOTS], indices[PAINT_SLOTS]; /* of each frame in flight; they grow */
    gpu_image font;
    gui_texture font_texture;
    float scale; /* of the font that is loaded */
} paint;

bool paint_open(paint *p, gpu *g, VkFormat format);
void paint_close(paint *p); /* nothing of it may be in flight */
/* The font at that scale, on the device; waits for nothing but its own copy. Nothing may be in flight. */
bool paint_fonts(paint *p, float scale);

/* An image to draw with; in `layout` whenever a frame that draws it runs. NULL when there are too many. */
gui_texture paint_texture(paint *p, VkImageView view, VkImageLayout layout, bool nearest);
void paint_texture_free(paint *p, gui_texture texture); /* nothing that uses it may be in flight */

bool paint_framebuffer(paint *p, VkImageView view, uint32_t width, uint32_t height, VkFramebuffer *framebuffer);
/* Records the render pass: what gui_end left, over GUI_PANEL. The image's content before is not kept; it is left
 * in the layout to present it, or to copy from it. `slot`: one of PAINT_SLOTS, whose last use is done. */
bool paint_record(paint *p, uint32_t slot, bool present, VkCommandBuffer commands, VkFramebuffer framebuffer,
                  uint32_t width, uint32_t height);

#endif
