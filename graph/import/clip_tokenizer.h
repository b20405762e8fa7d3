/* CLIP's tokenizer: byte-level byte-pair encoding, from the files vocab.json and merges.txt of a model's folder. Files
 * are untrusted: everything in them is bounded and checked.
 *
 * Thread safety: an open tokenizer is immutable and may be used by many threads at once. */
#ifndef SY_IMPORT_CLIP_TOKENIZER_H
#define SY_IMPORT_CLIP_TOKENIZER_H

#include "graph/base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct sy_clip_tokenizer sy_clip_tokenizer;

/* From the contents of the files. `padding`: the token that fills up; NULL: that of the end. */
sy_clip_tokenizer *sy_clip_tokenizer_create(const char *vocabulary, size_t vocabulary_size, const char *merges,
                                            size_t merges_size, const char *padding, sy_error *error);
/* From FOLDER/vocab.json, FOLDER/merges.txt and, where it is there, the pad_token of FOLDER/special_tokens_map.json. */
sy_clip_tokenizer *sy_clip_tokenizer_open(const char *folder, sy_error *error);
void sy_clip_tokenizer_destroy(sy_clip_tokenizer **tokenizer);

/* Exactly `room` ids (at least 2): that of the start, those of the text, of the end, padding. What does not fit is cut
 * off before the end; *dropped (may be NULL) gets how many ids of the text were. False where the text is too long to
 * look at or memory is out. */
bool sy_clip_tokenizer_encode(const sy_clip_tokenizer *tokenizer, const char *text, int32_t *ids, int32_t room,
                              int32_t *dropped, sy_error *error);
/* Number of ids: one more than the largest. */
int32_t sy_clip_tokenizer_count(const sy_clip_tokenizer *tokenizer);

#endif
