/* distribution.h -- whether two samples may come from the same distribution. */
#ifndef LCRT_TEST_DISTRIBUTION_H
#define LCRT_TEST_DISTRIBUTION_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Chi-square of how often each of n values came in two samples of the same size; what hardly came is left out. */
static inline bool same_distribution(const int32_t *a, const int32_t *b, int32_t n) {
    double chi = 0;
    int32_t n_cells = 0;
    for (int32_t i = 0; i < n; i++) {
        double sum = a[i] + b[i], more = a[i] - b[i];
        if (sum >= 10) {
            chi += more * more / sum;
            n_cells++;
        }
    }
    printf("  chi-square %.1f of %d values\n", chi, n_cells);
    /* Four standard deviations above what is expected of as many degrees of freedom. */
    return n_cells > 10 && chi < n_cells - 1 + 4 * sqrt(2.0 * (n_cells - 1));
}

#endif
