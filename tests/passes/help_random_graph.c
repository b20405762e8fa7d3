/* The random graphs of the tests of the text form, here as food for passes. */
#include "tests/ir/help_random.c"
