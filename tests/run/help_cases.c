/* The random cases of every op belong to tests/ops; here they run on devices. */
#include "tests/ops/help_ops.c"
