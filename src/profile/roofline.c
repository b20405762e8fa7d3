/* The roofline: from the work of a dispatch and what the device was measured to reach, the least time that it can take, and
 * what decides it. Work cannot be done faster than arithmetic, memory and the giving out of a dispatch each allow, so the
 * longest of the three bounds it. Bandwidth depends on the working set, for caches are faster than memory: the roof for
 * some bytes is the fastest copy or read measured over at least that working set, over the largest if it is beyond all. */
#include "src/profile/report.h"

static double best_of(const sy_roofs *roofs, sy_roof_kind kind)
{
    double best = 0;
    for (uint32_t i = 0; i < roofs->n; i++)
        if (roofs->roof[i].kind == kind && roofs->roof[i].value > best)
            best = roofs->roof[i].value;
    return best;
}

static double bandwidth_of(const sy_roofs *roofs, double bytes)
{
    const sy_roof *largest = NULL;
    double best = 0;
    for (uint32_t i = 0; i < roofs->n; i++) {
        const sy_roof *r = &roofs->roof[i];
        if ((r->kind != SY_ROOF_COPY && r->kind != SY_ROOF_READ) || r->value <= 0)
            continue;
        if ((double)r->bytes >= bytes && r->value > best)
            best = r->value;
        if (!largest || r->bytes > largest->bytes || (r->bytes == largest->bytes && r->value > largest->value))
            largest = r;
    }
    return best > 0 ? best : largest ? largest->value : 0;
}

double sy_roof_seconds(const sy_roofs *roofs, sy_roof_kind arithmetic, double flops, double least_bytes, bool indirect,
                       const char **bound_by)
{
    double rate = best_of(roofs, arithmetic), bandwidth = bandwidth_of(roofs, least_bytes);
    double launch = best_of(roofs, indirect ? SY_ROOF_INDIRECT : SY_ROOF_EMPTY);
    double compute = rate > 0 ? flops / rate : 0, memory = bandwidth > 0 ? least_bytes / bandwidth : 0;
    double longest = compute > memory ? compute : memory;
    *bound_by = "";
    if (launch > longest)
        *bound_by = "launch";
    else if (longest > 0)
        *bound_by = compute >= memory ? sy_roof_text(arithmetic) : "memory";
    return launch > longest ? launch : longest;
}

void sy_report_judge(sy_profile_report *report)
{
    sy_profile_mode mode = sy_report_mode(report);
    for (uint32_t i = 0; i < report->n_dispatches; i++) {
        sy_profile_dispatch *d = &report->dispatches[i];
        double took = d->time[mode].n ? d->time[mode].median : 0;
        sy_roof_kind arithmetic = d->kernel < report->n_kernels ? report->kernels[d->kernel].arithmetic : SY_ROOF_F32;
        d->intensity = d->least_bytes > 0 ? d->flops / d->least_bytes : 0;
        d->roof_seconds = sy_roof_seconds(&report->roofs, arithmetic, d->flops, d->least_bytes, d->indirect, &d->bound_by);
        d->roof_rate = d->roof_seconds > 0 ? d->flops / d->roof_seconds : 0;
        d->share = took > 0 ? d->roof_seconds / took : 0;
        d->above_roof = d->share > 1;
    }
}
