/* A report made by hand, small and with everything in it. */
#ifndef SY_TESTS_PROFILE_REPORT_H
#define SY_TESTS_PROFILE_REPORT_H

#include "src/profile/report.h"

/* Two programs of 3 and 2 dispatches, 5 samples each in both modes, one of them routed; judged. */
sy_profile_report *help_report(void);
/* The samples of a dispatch of it, times `factor`, described anew. */
void help_slow(sy_profile_report *report, uint32_t dispatch, double factor);

#endif
