/* A result that lies with the host - of another device or driver, or of the reference evaluator - as a history on the
 * drawing device, so that it is drawn and compared like any other. Belongs to the drawing thread. */
#ifndef SY_VIEWER_IMPORT_H
#define SY_VIEWER_IMPORT_H

#include "viewer/gpu.h"

typedef struct import import;

/* Copies what the taps of the result hold into one buffer; the result is not needed afterwards. False: gpu.error. */
bool import_result(gpu *g, const sy_result *result, import **made);
const sy_history *import_history(const import *i); /* valid as long as the import */
void import_destroy(gpu *g, import **i);           /* nothing that reads it may be in flight */

#endif
