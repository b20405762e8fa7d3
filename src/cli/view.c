/* switchyard view: the viewer, where it was built. */
#include "src/cli/commands.h"

#if SY_HAVE_VIEWER
#include "viewer/view.h"
#endif

int sy_command_view(int argc, char **argv)
{
#if SY_HAVE_VIEWER
    return sy_view_main(argc, argv, sy_cli_default_model());
#else
    (void)argc;
    return sy_cli_fail(argv[0], "this build has no viewer: it needs GLFW, Dear ImGui and libwebp (Debian: libglfw3-dev, libimgui-dev, libwebp-dev), "
                                "found when CMake runs with SY_VIEWER=AUTO or ON");
#endif
}
