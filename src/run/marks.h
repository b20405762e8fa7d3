/* Where a device was when it was lost. A word in host memory says which dispatch began last, another which step it is
 * in; the device writes them as it goes.
 *
 * Ordering: a word is written behind the barrier that the dispatch has anyway, whose second scope includes copies: so
 * it appears when all that the barrier waits for is done, and costs no barrier of its own. Dispatches that run beside
 * each other, with no barrier between them, share one word, and a loss names them all. vkCmdUpdateBuffer, not
 * vkCmdFillBuffer: four bytes travel in the command stream, where a fill may start a shader.
 *
 * On by default. SWITCHYARD_MARKS=0 in the environment switches them off; README says what they cost. */
#ifndef SY_RUN_MARKS_H
#define SY_RUN_MARKS_H

#include "src/run/device_session.h"

/* Does nothing, successfully, where marks are off. After the programs are known. */
bool sy_marks_create(sy_device_session *d, sy_error *error);
void sy_marks_destroy(sy_device_session *d);
bool sy_marks_on(const sy_device_session *d);

/* In the command buffers of a run: at its begin and its end, at the head of a segment, before a dispatch that is the
 * first of a segment or has a barrier (which then came with sy_marks_scope in both its scopes). */
void sy_marks_begin(const sy_device_session *d, VkCommandBuffer commands);
void sy_marks_end(const sy_device_session *d, VkCommandBuffer commands);
void sy_marks_step(const sy_device_session *d, VkCommandBuffer commands);
void sy_marks_dispatch(const sy_device_session *d, uint32_t program, uint32_t index, VkCommandBuffer commands);

/* After a loss: puts where the device was in front of the message. False (nothing done) where marks are off. */
bool sy_marks_explain(const sy_device_session *d, sy_error *error);

#endif
