#include "value.h"

/* What has just been in use is as likely to be wanted for about this long; from then on
 * the chance falls with the age, as it does for conversations. */
#define FRESH_NS 60e9
/* More uses than this tell nothing new, and old favourites must go one day. */
#define USES_MAX 15

double lcrt_value(const lcrt_worth *worth) {
    double n_uses = worth->n_uses < USES_MAX ? worth->n_uses : USES_MAX;
    double age_ns = worth->age_ns > 0 ? (double)worth->age_ns : 0;
    return worth->n_saved * (1 + n_uses) * FRESH_NS / (FRESH_NS + age_ns);
}
