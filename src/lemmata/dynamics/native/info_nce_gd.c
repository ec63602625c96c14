/* Gradient descent on the inner products of one contrastive training after another, a cell's whole state in cache.
 *
 * The same numbers as the gram engine in PyTorch (gram.py, objectives/info_nce.py), for full-batch gradient descent on
 * InfoNCE of paired samples, similarities patch by patch, keys held fixed, ReLU. For every modality, with F = relu(A) of
 * the noise patches, K those of the keys, c_i the class of a sample and T the similarities of the classes' signal patches,
 *
 *   s_ij = (sum_r F_ri K_rj + T[c_j][c_i]) / tau,   p_i = softmax over the positive and the negatives of i,
 *   dL/dA_ri = [A_ri > 0] / (n tau) sum_j (p_ij - 1[j = i]) K_rj,   and through T for the signal,   A = A0 + B G.
 *
 * With two modalities the keys are the other's, with one its own, and the positive is the augmented view. Columns of A
 * are the noises, then the augmented ones, each padded to whole vectors, then the signal; of B the noises, then the signal.
 */
#include "vectors.h"

typedef struct {                          /* one modality of a cell */
    REAL *G;                              /* (n + 1, K) */
    REAL *A0, *A;                         /* (R, K) */
    REAL *B;                              /* (R, N) */
    REAL *F, *P, *on_A;                   /* (R, N): features, those of the augmented view, gradient of the noises */
    REAL *plus, *minus, *on_a;            /* (R): features of the signal patch of either class, gradient of the signal */
} View;

typedef struct {                 /* one cell */
    long n, r, N, R, K, S;       /* samples, filters, both padded; columns of A, and which is the signal */
    int augmented;               /* whether the positive is an augmented view */
    REAL scale, tau;             /* 1 / (n tau) */
    REAL *FT, *share, *shareT;   /* (N, R), (N, N) twice */
    REAL *allowed;               /* (N, N): 1 where j is a negative of i, or i itself */
    REAL *first, *second;        /* (N): 1 where a sample is of either class */
    REAL *missing;               /* (N): p_ii - 1 where the positive is an augmented view */
    View view[2];
} Cell;

INLINE REAL largest(vec x) {
    REAL most = x[0];
    for (long h = 1; h < LANES; h++) most = x[h] > most ? x[h] : most;
    return most;
}

static REAL inner(const REAL *x, const REAL *y, long count) {
    vec sum = {0};
    for (long i = 0; i < count; i += LANES) sum += at(x + i) * at(y + i);
    return total(sum);
}

static void features(const Cell *x, const View *v) {
    product(x->R, x->K, x->n + 1, (Matrix){v->A0, x->K}, (Matrix){v->B, x->N}, (Matrix){v->G, x->K}, v->A, x->K);
    for (long r = 0; r < x->R; r++) {
        const REAL a = v->A[r * x->K + x->S];
        v->plus[r] = a > 0 ? a : a != a ? a : 0;
        v->minus[r] = a < 0 ? -a : a != a ? a : 0;
        for (long i = 0; i < x->N; i += LANES) {
            put(v->F + r * x->N + i, relu(at(v->A + r * x->K + i)));
            if (x->augmented) put(v->P + r * x->N + i, relu(at(v->A + r * x->K + x->N + i)));
        }
    }
}

/* Row i of the logits times tau -> row i of (p - 1[j = i]) / (n tau), to which `sums` of either class add up; the loss. */
static double softmax(const Cell *x, long i, REAL positive, const REAL *table, REAL *sums) {
    REAL *const row = x->share + i * x->N;
    const REAL *const allowed = x->allowed + i * x->N, over_tau = 1 / x->tau;
    const vec lowest = (vec){0} - (REAL)INFINITY;
    vec most = lowest, sum = {0}, on_first = {0}, on_second = {0};
    words bad = {0};
    if (x->augmented) row[i] = positive;
    for (long j = 0; j < x->N; j += LANES) {
        const vec logit = (at(row + j) + table[0] * at(x->first + j) + table[1] * at(x->second + j)) * over_tau;
        put(row + j, logit);
        most = choose((at(allowed + j) > (vec){0}) & (logit > most), logit, most);
    }
    const REAL top = largest(most), own = row[i];
    for (long j = 0; j < x->N; j += LANES) {
        const words mask = at(allowed + j) > (vec){0};
        const vec below = top - at(row + j), e = where(mask, exp_minus(where(mask, below)));
        bad |= mask & (below != below);
        sum += e;
        put(row + j, e);
    }
    const REAL all = total(sum);
    const double loss = (double)(top - own) + log((double)all);
    for (long j = 0; j < x->N; j += LANES) put(row + j, at(row + j) * (x->scale / all));
    if (x->augmented) {
        x->missing[i] = row[i] - x->scale;
        sums[x->first[i] > 0 ? 0 : 1] += x->missing[i];
        row[i] = 0;
    } else {
        row[i] -= x->scale;
    }
    for (long j = 0; j < x->N; j += LANES) {
        on_first += at(row + j) * at(x->first + j);
        on_second += at(row + j) * at(x->second + j);
    }
    sums[0] += total(on_first), sums[1] += total(on_second);
    for (long h = 0; h < LANES; h++)
        if (bad[h]) return NAN;
    return loss;
}

/* The loss of v's queries against keys of `key`; on_A and on_a of v. */
static double contrast(const Cell *x, const View *v, const View *key) {
    const long N = x->N, R = x->R;
    const REAL *const signal[2] = {v->plus, v->minus}, *const key_signal[2] = {key->plus, key->minus};
    REAL table[2][2], sums[2][2] = {{0}}; /* by the query's class, then by the key's */
    for (int q = 0; q < 2; q++)
        for (int k = 0; k < 2; k++) table[q][k] = inner(signal[q], key_signal[k], R);
    transpose(R, N, (Matrix){v->F, N}, x->FT, R);
    product(N, N, x->r, (Matrix){0, 0}, (Matrix){x->FT, R}, (Matrix){key->F, N}, x->share, N);
    double loss = 0;
    for (long i = 0; i < x->n; i++) {
        const int q = x->first[i] > 0 ? 0 : 1;
        REAL positive = 0;
        if (x->augmented)
            for (long r = 0; r < x->r; r++) positive += x->FT[i * R + r] * v->P[r * N + i];
        loss += softmax(x, i, positive, table[q], sums[q]);
    }
    transpose(N, N, (Matrix){x->share, N}, x->shareT, N);
    product(R, N, x->n, (Matrix){0, 0}, (Matrix){key->F, N}, (Matrix){x->shareT, N}, v->on_A, N);
    for (long r = 0; r < R; r++) {
        for (long i = 0; i < N; i += LANES) {
            vec pull = at(v->on_A + r * N + i);
            if (x->augmented) pull += at(v->P + r * N + i) * at(x->missing + i);
            put(v->on_A + r * N + i, where(at(v->A + r * x->K + i) > (vec){0}, pull));
        }
        const REAL on_plus = key->plus[r] * sums[0][0] + key->minus[r] * sums[0][1];
        const REAL on_minus = key->plus[r] * sums[1][0] + key->minus[r] * sums[1][1];
        v->on_a[r] = (v->plus[r] > 0 ? on_plus : 0) - (v->minus[r] > 0 ? on_minus : 0);
    }
    return loss / (double)x->n;
}

static void move(const Cell *x, const View *v, REAL eta) {
    for (long r = 0; r < x->r; r++) {
        for (long i = 0; i < x->N; i += LANES) {
            REAL *const b = v->B + r * x->N + i;
            put(b, at(b) - eta * at(v->on_A + r * x->N + i));
        }
        v->B[r * x->N + x->n] -= eta * v->on_a[r];
    }
}

/* Trains one cell for at most `steps` steps; status and step as in stopping.py. */
static void train(const Cell *x, long views, long steps, long first_step, REAL eta, double stop_loss, double diverged_at,
                  REAL *limit, int64_t *status, int64_t *status_step) {
    for (long s = 0; s < steps; s++) {
        double loss = 0;
        for (long g = 0; g < views; g++) features(x, x->view + g);
        for (long g = 0; g < views; g++) loss += contrast(x, x->view + g, x->view + views - 1 - g);
        if (first_step + s == 0) *limit = (REAL)(diverged_at * (loss == loss ? fabs(loss) : 0));
        if (!(loss <= (double)*limit)) *status = 2;
        else if (stop_loss > 0 && loss <= stop_loss) *status = 1;
        if (*status) {
            *status_step = first_step + s;
            return;
        }
        for (long g = 0; g < views; g++) move(x, x->view + g, eta);
    }
}

/* Rows of `count` numbers, the first (the signal's) to column `signal`, the next n from 0, others from `after`. */
static void load(REAL *to, const REAL *from, long count, long n, long signal, long after) {
    to[signal] = from[0];
    memcpy(to, from + 1, (size_t)n * sizeof(REAL));
    if (count > n + 1) memcpy(to + after, from + 1 + n, (size_t)(count - n - 1) * sizeof(REAL));
}

/* Trains cells [from, to) of n samples, r filters, g modalities; k = n + 1 vectors of each, or 2 n + 1 with an augmented
 * view. Arrays are dense, cells first: G (c,g,n+1,k), A0 (c,g,r,k), B (c,g,r,n+1), signs (c,n), negatives (c,n,n), and per
 * cell tau, eta, limit, status, status_step. Vector 0 is the signal. Returns 0, or 1 without memory. */
int NAME(long from, long to, long steps, long first_step, double stop_loss, double diverged_at, long n, long r, long g,
         long k, const REAL *G, const REAL *A0, REAL *B, const REAL *signs, const REAL *negatives, const REAL *tau,
         const REAL *eta, REAL *limit, int64_t *status, int64_t *status_step) {
    const long unit = ROWS > LANES ? ROWS : LANES, N = padded(n + 1, unit), R = padded(r, unit);
    const int augmented = k > n + 1;
    const long S = N * (1 + augmented), K = S + LANES, one = (n + 1) * K + 2 * R * K + 4 * R * N + 3 * R;
    const size_t bytes = (size_t)(g * padded(one, LANES) + N * R + 3 * N * N + 3 * N) * sizeof(REAL);
    REAL *const memory = aligned_alloc(VECTOR_BYTES, bytes);
    if (!memory) return 1;
    Cell x = {.n = n, .r = r, .N = N, .R = R, .K = K, .S = S, .augmented = augmented};
    for (long h = 0; h < g; h++) {
        View *const v = x.view + h;
        v->G = memory + h * padded(one, LANES), v->A0 = v->G + (n + 1) * K, v->A = v->A0 + R * K, v->B = v->A + R * K;
        v->F = v->B + R * N, v->P = v->F + R * N, v->on_A = v->P + R * N;
        v->plus = v->on_A + R * N, v->minus = v->plus + R, v->on_a = v->minus + R;
    }
    x.FT = memory + g * padded(one, LANES), x.share = x.FT + N * R, x.shareT = x.share + N * N;
    x.allowed = x.shareT + N * N, x.first = x.allowed + N * N, x.second = x.first + N, x.missing = x.second + N;
    for (long cell = from; cell < to; cell++) {
        if (status[cell]) continue;
        memset(memory, 0, bytes);
        for (long h = 0; h < g; h++) {
            const View *const v = x.view + h;
            const long which = cell * g + h;
            for (long i = 0; i <= n; i++) /* row 0 of G is the signal's: last here */
                load(v->G + (i + n) % (n + 1) * K, G + (which * (n + 1) + i) * k, k, n, S, N);
            for (long i = 0; i < r; i++) {
                load(v->A0 + i * K, A0 + (which * r + i) * k, k, n, S, N);
                load(v->B + i * N, B + (which * r + i) * (n + 1), n + 1, n, n, n);
            }
        }
        for (long i = 0; i < n; i++) {
            x.first[i] = signs[cell * n + i] > 0, x.second[i] = 1 - x.first[i];
            memcpy(x.allowed + i * N, negatives + (cell * n + i) * n, (size_t)n * sizeof(REAL));
            x.allowed[i * N + i] = 1;
        }
        x.tau = tau[cell], x.scale = 1 / ((REAL)n * x.tau);
        train(&x, g, steps, first_step, eta[cell], stop_loss, diverged_at, limit + cell, status + cell, status_step + cell);
        for (long h = 0; h < g; h++)
            for (long i = 0; i < r; i++) {
                REAL *const to_row = B + ((cell * g + h) * r + i) * (n + 1), *const row = x.view[h].B + i * N;
                to_row[0] = row[n];
                memcpy(to_row + 1, row, (size_t)n * sizeof(REAL));
            }
    }
    free(memory);
    return 0;
}
