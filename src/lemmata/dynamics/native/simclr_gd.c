/* Gradient descent on the inner products of one linear contrastive encoder after another, a cell's whole state in cache.
 *
 * The same numbers as the gram engine in PyTorch (gram.py, objectives/simclr.py), for full-batch gradient descent on the
 * SimCLR loss with dot products, negatives the first views of the other pairs. A linear encoder sees a view only as the
 * sum z of its patches, so filters move along the 2 n views z alone: with H = W Z^T and M = Z Z^T,
 *
 *   s_ij = h_i . h_j / tau  (j != i),   s_ii = h_i . h~_i / tau,   p_i = softmax(s_i) / n,
 *   dL/dh_i = 1/tau (sum_{j != i} (p_ij + p_ji) h_j + (p_ii - 1/n) h~_i),   dL/dh~_i = 1/tau (p_ii - 1/n) h_i,
 *   H = H0 + B M,   B <- B - eta dL/dH;   with what an anchor is compared to held fixed, p_ji and dL/dh~ are left out.
 *
 * Columns are the first views, then the second, each padded to whole vectors.
 */
#include "vectors.h"

typedef struct {           /* one cell */
    long n, r, N, R, K;    /* pairs, filters, both padded; K = 2 N */
    int held;              /* whether what an anchor is compared to is held fixed */
    REAL tau;
    REAL *M;               /* (N + n, K) */
    REAL *H0, *H, *B;      /* (R, K) */
    REAL *FT, *on;         /* (N, R): first views, transposed; (R, N): pull on them */
    REAL *share, *both;    /* (N, N): p off its diagonal; and with its transpose */
    REAL *pull;            /* (N): p_ii - 1/n */
    REAL *valid;           /* (N): 1 where there is a pair */
} Cell;

INLINE REAL largest(vec x) {
    REAL most = x[0];
    for (long h = 1; h < LANES; h++) most = x[h] > most ? x[h] : most;
    return most;
}

/* Row i of the inner products -> row i of p without its diagonal, and pull_i; the loss. */
static double softmax(const Cell *x, long i, REAL positive) {
    REAL *const row = x->share + i * x->N;
    const REAL over_tau = 1 / x->tau, weight = 1 / (REAL)x->n;
    vec most = (vec){0} - (REAL)INFINITY, sum = {0};
    words bad = {0};
    row[i] = positive;
    for (long j = 0; j < x->N; j += LANES) {
        const vec logit = at(row + j) * over_tau;
        put(row + j, logit);
        most = choose((at(x->valid + j) > (vec){0}) & (logit > most), logit, most);
    }
    const REAL top = largest(most), own = row[i];
    for (long j = 0; j < x->N; j += LANES) {
        const words mask = at(x->valid + j) > (vec){0};
        const vec below = top - at(row + j), e = where(mask, exp_minus(where(mask, below)));
        bad |= mask & (below != below);
        sum += e;
        put(row + j, e);
    }
    const REAL all = total(sum);
    for (long j = 0; j < x->N; j += LANES) put(row + j, at(row + j) * (weight / all));
    x->pull[i] = row[i] - weight;
    row[i] = 0;
    for (long h = 0; h < LANES; h++)
        if (bad[h]) return NAN;
    return ((double)(top - own) + log((double)all)) / (double)x->n;
}

static double loss_and_pull(const Cell *x) {
    const long N = x->N, K = x->K, R = x->R;
    transpose(R, N, (Matrix){x->H, K}, x->FT, R);
    product(N, N, x->r, (Matrix){0, 0}, (Matrix){x->FT, R}, (Matrix){x->H, K}, x->share, N);
    double loss = 0;
    for (long i = 0; i < x->n; i++) {
        REAL positive = 0;
        for (long r = 0; r < x->r; r++) positive += x->FT[i * R + r] * x->H[r * K + N + i];
        loss += softmax(x, i, positive);
    }
    transpose(N, N, (Matrix){x->share, N}, x->both, N);
    if (!x->held)
        for (long i = 0; i < N * N; i += LANES) put(x->both + i, at(x->both + i) + at(x->share + i));
    product(R, N, x->n, (Matrix){0, 0}, (Matrix){x->H, K}, (Matrix){x->both, N}, x->on, N);
    return loss;
}

static void move(const Cell *x, REAL step) {
    for (long r = 0; r < x->r; r++)
        for (long i = 0; i < x->N; i += LANES) {
            REAL *const first = x->B + r * x->K + i, *const second = first + x->N;
            const REAL *const h = x->H + r * x->K + i;
            const vec pull = at(x->pull + i);
            put(first, at(first) - step * (at(x->on + r * x->N + i) + pull * at(h + x->N)));
            if (!x->held) put(second, at(second) - step * (pull * at(h)));
        }
}

/* Trains one cell for at most `steps` steps; status and step as in stopping.py. */
static void train(const Cell *x, long steps, long first_step, REAL eta, double stop_loss, double diverged_at, REAL *limit,
                  int64_t *status, int64_t *status_step) {
    for (long s = 0; s < steps; s++) {
        product(x->R, x->K, x->N + x->n, (Matrix){x->H0, x->K}, (Matrix){x->B, x->K}, (Matrix){x->M, x->K}, x->H, x->K);
        const double loss = loss_and_pull(x);
        if (first_step + s == 0) *limit = (REAL)(diverged_at * (loss == loss ? fabs(loss) : 0));
        if (!(loss <= (double)*limit)) *status = 2;
        else if (stop_loss > 0 && loss <= stop_loss) *status = 1;
        if (*status) {
            *status_step = first_step + s;
            return;
        }
        move(x, eta / x->tau);
    }
}

/* Rows of 2 n numbers to rows of K, the second half after N, or back. */
static void spread(REAL *to, const REAL *from, long n, long N) {
    memcpy(to, from, (size_t)n * sizeof(REAL)), memcpy(to + N, from + n, (size_t)n * sizeof(REAL));
}

/* Trains cells [from, to) of n pairs and r filters. Arrays are dense, cells first: M (c,2n,2n), H0, B (c,r,2n), and per
 * cell tau, eta, limit, status, status_step. Returns 0, or 1 without memory. */
int NAME(long from, long to, long steps, long first_step, double stop_loss, double diverged_at, long n, long r, long held,
         const REAL *M, const REAL *H0, REAL *B, const REAL *tau, const REAL *eta, REAL *limit, int64_t *status,
         int64_t *status_step) {
    const long unit = ROWS > LANES ? ROWS : LANES, N = padded(n, unit), R = padded(r, unit), K = 2 * N;
    const size_t bytes = (size_t)((N + n) * K + 3 * R * K + 2 * N * R + 2 * N * N + 2 * N) * sizeof(REAL);
    REAL *const memory = aligned_alloc(VECTOR_BYTES, bytes);
    if (!memory) return 1;
    Cell x = {.n = n, .r = r, .N = N, .R = R, .K = K, .held = held != 0, .M = memory};
    x.H0 = x.M + (N + n) * K, x.H = x.H0 + R * K, x.B = x.H + R * K, x.FT = x.B + R * K, x.on = x.FT + N * R;
    x.share = x.on + R * N, x.both = x.share + N * N, x.pull = x.both + N * N, x.valid = x.pull + N;
    for (long cell = from; cell < to; cell++) {
        if (status[cell]) continue;
        memset(memory, 0, bytes);
        for (long i = 0; i < 2 * n; i++)
            spread(x.M + (i < n ? i : N + i - n) * K, M + (cell * 2 * n + i) * 2 * n, n, N);
        for (long i = 0; i < r; i++) {
            spread(x.H0 + i * K, H0 + (cell * r + i) * 2 * n, n, N);
            spread(x.B + i * K, B + (cell * r + i) * 2 * n, n, N);
        }
        for (long i = 0; i < n; i++) x.valid[i] = 1;
        x.tau = tau[cell];
        train(&x, steps, first_step, eta[cell], stop_loss, diverged_at, limit + cell, status + cell, status_step + cell);
        for (long i = 0; i < r; i++) {
            REAL *const row = B + (cell * r + i) * 2 * n;
            memcpy(row, x.B + i * K, (size_t)n * sizeof(REAL)), memcpy(row + n, x.B + i * K + N, (size_t)n * sizeof(REAL));
        }
    }
    free(memory);
    return 0;
}
