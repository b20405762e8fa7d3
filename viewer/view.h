/* The command `switchyard view`. */
#ifndef SY_VIEWER_VIEW_H
#define SY_VIEWER_VIEW_H

/* argv[0] is the command's name; default_model: opened where none is named, may be NULL. Returns the exit status. */
int sy_view_main(int argc, char **argv, const char *default_model);

#endif
