/* Many small images of one size in a large one, the least lately used making room. Part of overlay.c. */
#ifndef SY_VIEWER_ATLAS_H
#define SY_VIEWER_ATLAS_H

#include "viewer/overlay.h"

/* What a tile shows, and nothing else: equal bytes are equal tiles. Made by zeroing it all first. */
typedef struct atlas_key {
    uint64_t run[2];
    uint32_t evaluation[2], tap[2], kind, picture, half, target;
    overlay_cells picked;
    float low, high;
} atlas_key;

typedef struct atlas_tile {
    uint64_t hash, used; /* frame in which it was last wanted; 0: empty */
    atlas_key key;
} atlas_tile;

typedef struct atlas_old {
    gpu_image image;
    uint64_t until; /* frame in which nothing draws it any more */
} atlas_old;

typedef struct atlas {
    gpu_image image;
    uint32_t side, columns, n; /* texels of a tile with its border; tiles a row; tiles */
    bool fresh;                /* has no layout yet */
    uint64_t generation;
    atlas_tile *tiles;
    atlas_old old[OVERLAY_SLOTS];
} atlas;

/* Room for tiles of that size (without border): makes the image, or a larger one in its place, with all tiles lost. */
bool atlas_fit(gpu *g, atlas *a, uint32_t width, uint32_t height, uint64_t frame);
/* The number of the tile of that key. *found: it has been computed; else it is one that was made empty for it. UINT32_MAX:
 * all tiles are in use in this frame. */
uint32_t atlas_find(atlas *a, const atlas_key *key, uint64_t frame, bool *found);
void atlas_forget(atlas *a, uint32_t tile);
/* Destroys images of before that nothing draws. */
void atlas_collect(gpu *g, atlas *a, uint64_t frame);
void atlas_destroy(gpu *g, atlas *a);
uint64_t atlas_bytes(const atlas *a);

#endif
