/* average.h -- a moving average of what is measured. Pure; any thread. */
#ifndef LCRT_AVERAGE_H
#define LCRT_AVERAGE_H

/* The first sample is what is known, each later one moves it by this share of the difference. known is 0 before. */
static inline void lcrt_average(double *known, double sample, double share) {
    *known = *known > 0 ? *known + share * (sample - *known) : sample;
}

#endif
