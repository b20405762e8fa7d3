/* The fixtures of the networks, shared with tests/zoo. */
#include "tests/zoo/help_fixture.c"
