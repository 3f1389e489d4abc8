#include "gate.h"

#include <string.h>

/* Before anything is known: what a further row adds to a pass, and how right sources are. */
#define ROW_COST 0.25
static const double rates_before[LCRT_GATE_SOURCES] = {0.9, 0.7, 0.4, 0.7, 0.4, 0.6};

/* How fast a measurement moves what was known. */
#define LEARN_NOW 0.3
#define LEARN_COST 0.1 /* the first ones more, until COUNT_MAX */
#define COUNT_MAX 8
#define LEARN_BACK 0.1
#define BACK_MAX 0.5
#define LEARN_OWN 0.06
#define LEARN_ALL 0.03

/* Drafts must promise that tokens come faster by this factor. */
#define GAIN_MIN 1.05
/* The credit: what a pass adds of its time, and its beginning and limit in passes. */
#define CREDIT_SHARE 0.003
#define CREDIT_BEGIN 2.0
#define CREDIT_BEGIN_ASKS 12.0
#define CREDIT_MAX 12.0
/* ... and where a source asks, its limit for what drafts have gained: a long text costs more than plain passes bring. */
#define CREDIT_MAX_ASKS 96.0
/* A pass may take so much of the credit more than one without drafts. */
#define CREDIT_REACH 2.0
/* What has to be spent before there can be a draft, so much. */
#define CREDIT_ONCE 0.5
/* After so many declined drafts a promising one is tried all the same: costs may have changed. */
#define RETRY_AFTER 256
#define RETRY_SHARE 0.7 /* of them expected to be right */

static double bounded(double value, double least, double most) {
    return value < least ? least : value > most ? most : value;
}

void lcrt_gate_init(lcrt_gate *gate, bool asks) {
    memset(gate, 0, sizeof(*gate));
    gate->asks = asks;
    memcpy(gate->rates, rates_before, sizeof(gate->rates));
    gate->costs[1] = 1;
}

void lcrt_gate_begin(const lcrt_gate *gate, lcrt_gate_own *own) {
    memcpy(own->rates, gate->rates, sizeof(own->rates));
}

/* In passes of one row: between what was measured, and beyond it at the rate of the last two. */
static double relative_cost(const lcrt_gate *gate, int32_t n_rows) {
    int32_t below = n_rows, above = n_rows;
    while (gate->costs[below] <= 0) {
        below--; /* one row is always known */
    }
    while (above < LCRT_GATE_ROWS && gate->costs[above] <= 0) {
        above++;
    }
    if (below == n_rows) {
        return gate->costs[n_rows];
    }
    double from = gate->costs[below];
    if (gate->costs[above] > 0) {
        return from + (gate->costs[above] - from) * (n_rows - below) / (above - below);
    }
    double slope = ROW_COST;
    if (below > 1) {
        slope = bounded((from - 1) / (below - 1), 0, 1);
    }
    return from + slope * (n_rows - below);
}

double lcrt_gate_cost(const lcrt_gate *gate, int32_t n_rows) {
    return gate->one_ns * relative_cost(gate, n_rows);
}

/* Up to so many passes; what there is already stays. */
static void earn(lcrt_gate *gate, double ns, double limit) {
    double most = limit * gate->one_ns;
    most = gate->credit_ns > most ? gate->credit_ns : most;
    gate->credit_ns = bounded(gate->credit_ns + ns, -CREDIT_MAX * gate->one_ns, most);
}

void lcrt_gate_measure(lcrt_gate *gate, int32_t n_rows, int64_t ns) {
    if (n_rows < 1 || n_rows > LCRT_GATE_ROWS || ns <= 0) {
        return;
    }
    bool comes_back = n_rows < gate->n_rows_last && gate->n_measured[n_rows] > 0;
    gate->n_rows_last = n_rows;
    if (comes_back) {
        double more = (double)ns / gate->one_ns - relative_cost(gate, n_rows);
        gate->back += LEARN_BACK * (bounded(more, 0, BACK_MAX) - gate->back);
        earn(gate, CREDIT_SHARE * (double)ns, CREDIT_MAX);
        return;
    }
    if (gate->one_ns <= 0) {
        gate->one_ns = (double)ns / relative_cost(gate, n_rows);
        gate->credit_ns = (gate->asks ? CREDIT_BEGIN_ASKS : CREDIT_BEGIN) * gate->one_ns;
    }
    int32_t *n_before = &gate->n_measured[n_rows];
    double expected = relative_cost(gate, n_rows);
    double change = bounded((double)ns / (gate->one_ns * expected), 0.25, 4) - 1;
    if (n_rows > 1) {
        /* A number of rows that is new says much of its cost and little of the moment. */
        gate->costs[n_rows] =
            bounded(expected * (1 + bounded(1.0 / (1 + *n_before), LEARN_COST, 1) * change), 1, n_rows);
        change *= (double)*n_before / COUNT_MAX;
    }
    gate->one_ns *= 1 + LEARN_NOW * bounded(change, -0.5, 1);
    *n_before += *n_before < COUNT_MAX;
    earn(gate, CREDIT_SHARE * (double)ns, CREDIT_MAX);
}

static void learn(double *rate, double share, int32_t n_right, bool wrong) {
    for (int32_t i = 0; i < n_right; i++) {
        *rate += share * (1 - *rate);
    }
    if (wrong) {
        *rate -= share * *rate;
    }
}

void lcrt_gate_observe(lcrt_gate *gate, lcrt_gate_own *own, int32_t source, int32_t n_right, bool wrong) {
    learn(&gate->rates[source], LEARN_ALL, n_right, wrong);
    learn(&own->rates[source], LEARN_OWN, n_right, wrong);
}

/* What a pass with up to n tokens for each stream brings and takes. */
typedef struct prospect {
    int32_t n_drafted;
    double n_taken; /* expected */
    double ns;
    double once_ns; /* before that; of it, the part that this pass has to bring in is in ns */
} prospect;

static prospect look(const lcrt_gate *gate, const lcrt_gate_wish *wishes, int32_t n_streams, int32_t n) {
    prospect out = {.n_drafted = 0};
    for (int32_t i = 0; i < n_streams; i++) {
        const lcrt_gate_wish *wish = &wishes[i];
        int32_t n_own = wish->n_max < n ? wish->n_max : n;
        double chance = 1, n_taken = 0;
        for (int32_t k = 0; k < n_own; k++) {
            chance *= wish->rate;
            n_taken += chance;
        }
        out.n_drafted += n_own;
        out.n_taken += n_taken;
        out.ns += wish->each_ns * n_own;
        if (n_own > 0 && wish->once_ns > 0) {
            out.once_ns += wish->once_ns;
            out.ns += wish->once_ns * (1 + n_taken) / wish->n_left;
        }
    }
    int32_t n_rows = n_streams + out.n_drafted;
    out.ns += n_rows <= LCRT_GATE_ROWS ? lcrt_gate_cost(gate, n_rows) : 0;
    out.ns += out.n_drafted > 0 && gate->n_rows_last <= n_streams ? gate->back * gate->one_ns : 0;
    return out;
}

bool lcrt_gate_is_curious(const lcrt_gate *gate) {
    return gate->n_declined >= RETRY_AFTER;
}

/* Whether a draft that does not seem to pay is tried, to see what it costs by now. */
static bool retries(const lcrt_gate *gate, const prospect *short_one, double plain_ns) {
    bool promising = short_one->n_drafted > 0 && short_one->n_taken >= RETRY_SHARE * short_one->n_drafted;
    bool affordable = gate->credit_ns > short_one->ns - plain_ns && CREDIT_ONCE * gate->credit_ns >= short_one->once_ns;
    return promising && affordable && lcrt_gate_is_curious(gate);
}

static bool is_affordable(const lcrt_gate *gate, const prospect *found, double plain_ns) {
    return found->ns - plain_ns < CREDIT_REACH * gate->credit_ns && found->once_ns <= CREDIT_ONCE * gate->credit_ns;
}

int32_t lcrt_gate_choose(lcrt_gate *gate, const lcrt_gate_wish *wishes, int32_t n_streams, int32_t n_spare) {
    int32_t n_limit = 0, n_best = 0;
    for (int32_t i = 0; i < n_streams; i++) {
        n_limit = wishes[i].n_max > n_limit ? wishes[i].n_max : n_limit;
    }
    if (n_limit == 0 || n_streams > LCRT_GATE_ROWS || gate->one_ns <= 0 || gate->credit_ns <= 0) {
        return 0;
    }
    n_spare = n_spare < LCRT_GATE_ROWS - n_streams ? n_spare : LCRT_GATE_ROWS - n_streams;
    double plain_ns = lcrt_gate_cost(gate, n_streams);
    double best = GAIN_MIN * n_streams / plain_ns;
    for (int32_t n = 1; n <= n_limit; n++) {
        prospect found = look(gate, wishes, n_streams, n);
        double speed = (n_streams + found.n_taken) / found.ns;
        if (found.n_drafted <= n_spare && speed > best && is_affordable(gate, &found, plain_ns)) {
            best = speed;
            n_best = n;
        }
    }
    if (n_best == 0) {
        int32_t n_retry = n_limit < LCRT_GATE_RETRY_TOKENS ? n_limit : LCRT_GATE_RETRY_TOKENS;
        prospect short_one = look(gate, wishes, n_streams, n_retry);
        bool fits = short_one.n_drafted <= n_spare;
        gate->n_declined += gate->n_declined < RETRY_AFTER;
        n_best = fits && retries(gate, &short_one, plain_ns) ? n_retry : 0;
    }
    gate->was_plain = gate->n_rows_last <= n_streams;
    return n_best;
}

void lcrt_gate_spend(lcrt_gate *gate, int64_t ns) {
    earn(gate, -(double)ns, CREDIT_MAX);
}

void lcrt_gate_settle(lcrt_gate *gate, int32_t n_streams, int32_t n_drafted, int32_t n_taken) {
    double plain_ns = lcrt_gate_cost(gate, n_streams);
    double spent_ns = lcrt_gate_cost(gate, n_streams + n_drafted) - plain_ns;
    spent_ns += n_drafted > 0 && gate->was_plain ? gate->back * gate->one_ns : 0;
    double limit = gate->asks ? CREDIT_MAX_ASKS : CREDIT_MAX;
    earn(gate, plain_ns / n_streams * n_taken - spent_ns, limit);
    gate->n_declined = 0;
}
