/* What an evaluation of the network was, as colours and words: on the axis of time and in statistics. Pure functions. */
#ifndef SY_VIEWER_KINDS_H
#define SY_VIEWER_KINDS_H

#include "src/switchyard.h"

typedef enum kind_of_evaluation { KIND_GUIDED, KIND_WHOLE, KIND_PART, KIND_LEFT_OUT, KINDS } kind_of_evaluation;

/* guided: with both halves; whole: one half, all of the network; part: some of it cached, or some tokens only. */
kind_of_evaluation kind_of(const sy_evaluation *e);
uint32_t kind_colour(kind_of_evaluation kind); /* as GUI_RGB */
const char *kind_text(kind_of_evaluation kind);
/* Colours and words in a line of the region being built, of the kinds of which there are some. */
void kinds_legend(const uint32_t counts[KINDS]);

#endif
