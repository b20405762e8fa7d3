/* The part of `switchyard profile` that times a shader of the user's own. */
#ifndef SY_CLI_PROFILE_SHADER_H
#define SY_CLI_PROFILE_SHADER_H

#include <stdbool.h>

/* Does a file's name say that it is a shader: .comp, .glsl, .spv? */
bool sy_cli_is_shader(const char *path);
/* argv as of the command, argv[0] its name. Returns the exit status. */
int sy_cli_profile_shader(int argc, char **argv);

#endif
