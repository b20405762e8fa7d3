/* What the page and its charts share. */
#ifndef SY_PROFILE_HTML_H
#define SY_PROFILE_HTML_H

#include "src/profile/report.h"

/* Text that may hold anything, as text. */
void sy_html_escape(const char *text, sy_text *out);
/* "1.5 ms", "460 KB", "33 Gop/s": units for people. */
const char *sy_html_seconds(double seconds, char out[32]);
const char *sy_html_amount(double x, const char *unit, char out[32]);
/* A class of colour by kind of dispatch: 0 … SY_HTML_KINDS - 1, in the order of the legend. */
enum { SY_HTML_KINDS = 8 };
int sy_html_kind(const char *kind);
const char *sy_html_kind_text(int kind);
void sy_html_legend(const sy_profile_report *report, sy_text *out); /* of the kinds that there are */

/* Charts, each an inline SVG that fills the width it is given. */
void sy_html_layers(const sy_profile_report *report, sy_text *out);
void sy_html_roofline(const sy_profile_report *report, sy_text *out);
void sy_html_memory(const sy_profile_report *report, sy_text *out);
void sy_html_routes(const sy_profile_report *report, sy_text *out);

#endif
