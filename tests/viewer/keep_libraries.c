/* Preloaded into the sanitized viewer: drivers stay loaded to the end, so that the leak checker can say by name whose
 * memory is lost (tests/viewer/leaks.txt). */
int dlclose(void *library);
int dlclose(void *library)
{
    (void)library;
    return 0;
}
