/* Documentation made from the tables. */
#ifndef SY_IR_DOCUMENT_H
#define SY_IR_DOCUMENT_H

#include "graph/base/text.h"

/* All ops with signature, class, attributes and meaning, and the verifier's rules, as Markdown. */
void sy_ops_document(sy_text *out);

#endif
