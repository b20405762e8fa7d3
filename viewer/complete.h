/* Completion of prompts from a model's words and from the prompts it was trained on. */
#ifndef SY_VIEWER_COMPLETE_H
#define SY_VIEWER_COMPLETE_H

#include "src/switchyard.h"

/* Candidate number `index` for the text before the cursor: what of it is replaced begins at *from. Prompts that begin
 * with what stands since the last "|" come first, then words that begin with the last word. NULL past the last. */
const char *complete_at(const sy_model_info *model, const char *text, int cursor, uint32_t index, int *from);
/* Writes the text up to the cursor with candidate `index` in place; false if there is none or it does not fit. */
bool complete_with(const sy_model_info *model, const char *text, int cursor, uint32_t index, char *whole, size_t size);

#endif
