/* The fixtures of the systems, shared with tests/zoo. */
#include "tests/zoo/help_system.c"
