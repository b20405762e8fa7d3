/* The commands of the command line: each gets its own name as argv[0] and returns the exit status. */
#ifndef SY_CLI_COMMANDS_H
#define SY_CLI_COMMANDS_H

int sy_command_devices(int argc, char **argv);
int sy_command_doctor(int argc, char **argv);

#endif
