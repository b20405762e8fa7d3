#include "graph/emit/gen.h"
bool sy_emit_route(sy_gen *gen, sy_text *out) { (void)gen; (void)out; return false; }
