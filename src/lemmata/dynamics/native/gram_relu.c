/* Gradient descent on the inner products of one two-layer ReLU network after another, a cell's whole state in cache.
 *
 * The same numbers as the gram engine in PyTorch (gram.py, objectives/margin.py), for the commonest case: full-batch
 * gradient descent, logistic loss, ReLU, one signal vector shared by all samples and one noise vector each, one output
 * weight per filter. Compiled twice, for float and double (REAL), by native/__init__.py.
 *
 *   f_i = sum_r v_r [relu(t_i a_r) + relu(A_ri)]         a = <w, mu>, A = <w, xi_i>, t = true labels
 *   g_i = -y_i / (n (1 + exp(y_i f_i)))                  y = observed labels
 *   B_ri += -eta v_r g_i 1[A_ri > 0],  b_r += -eta v_r sum_i g_i t_i 1[t_i a_r > 0]
 *   v_r  += -eta' sum_i g_i [relu(t_i a_r) + relu(A_ri)]
 *   [A | a] = [A | a](0) + [B | b] G
 *
 * Columns are held noise first, signal last, padded with zeros to whole vectors. Reductions run in fixed lanes, so the
 * result does not depend on how the compiler reorders; no flag that assumes finite numbers may be used.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 64
#define LANES ((long)(BYTES / sizeof(REAL)))
#define ROWS 4 /* rows per register tile, with two vectors of columns */

typedef REAL vec __attribute__((vector_size(BYTES)));
#if REAL_IS_FLOAT
typedef int32_t word;
#else
typedef int64_t word;
#endif
typedef word words __attribute__((vector_size(BYTES)));

/* x where it is above zero, else 0; NaN stays NaN, as in torch.relu. */
static inline vec relu(vec x) { return (vec)((words)x & ~(x <= (vec){0})); }

static long padded(long count, long unit) { return (count + unit - 1) / unit * unit; }

/* exp(-x) for x >= 0 to within two units in the last place; vectorises, which the library's exp does not. */
static inline REAL exp_minus(REAL x) {
    const REAL floor_at = sizeof(REAL) == 4 ? (REAL)87.0 : (REAL)708.0;
    REAL y = x > floor_at ? -floor_at : -x;
    REAL whole = sizeof(REAL) == 4 ? (REAL)rintf((float)(y * (REAL)1.4426950408889634)) : (REAL)rint(y * 1.4426950408889634);
    REAL rest = (y - whole * (REAL)0.693145751953125) - whole * (REAL)1.42860682030941723212e-6;
    REAL sum = 1;
    if (sizeof(REAL) == 4) {
        sum = rest / 7 + 1;
        for (int k = 6; k >= 1; k--) sum = sum * rest * ((REAL)1 / k) + 1;
    } else {
        sum = rest / 13 + 1;
        for (int k = 12; k >= 1; k--) sum = sum * rest * ((REAL)1 / k) + 1;
    }
#if REAL_IS_FLOAT
    const word bits = ((word)whole + 127) << 23;
#else
    const word bits = ((word)whole + 1023) << 52;
#endif
    REAL power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* Columns [c, c + vectors * LANES) of A = A0 + B G; `vectors` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void columns(const long vectors, long c, long R, long K, long k_used,
                                                          const REAL *A0, const REAL *B, const REAL *G, REAL *A) {
    for (long r = 0; r < R; r += ROWS) {
        vec sum[ROWS][2];
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++) sum[i][h] = *(const vec *)(A0 + (r + i) * K + c + h * LANES);
        for (long k = 0; k < k_used; k++)
            for (long i = 0; i < ROWS; i++)
                for (long h = 0; h < vectors; h++)
                    sum[i][h] += B[(r + i) * K + k] * *(const vec *)(G + k * K + c + h * LANES);
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++) *(vec *)(A + (r + i) * K + c + h * LANES) = sum[i][h];
    }
}

/* A = A0 + B G. Rows are padded to ROWS and columns to LANES; `k_used` of the K columns of B are not padding. */
static void products(long R, long K, long k_used, const REAL *A0, const REAL *B, const REAL *G, REAL *A) {
    long c = 0;
    for (; c + 2 * LANES <= K; c += 2 * LANES) columns(2, c, R, K, k_used, A0, B, G, A);
    if (c < K) columns(1, c, R, K, k_used, A0, B, G, A);
}

static REAL sum_of(const REAL *x, long count) { /* count a multiple of LANES */
    vec lanes = {0};
    for (long i = 0; i < count; i += LANES) lanes += *(const vec *)(x + i);
    REAL sum = 0;
    for (long h = 0; h < LANES; h++) sum += lanes[h];
    return sum;
}

/* Loss, and slope g_i = dL/df_i. The loss is exact only if asked; the quick one is good to 1e-15 of one. */
static double slopes(long n, long K, const REAL *y, const REAL *f, REAL *g, REAL *e, REAL *linear, int exact) {
    for (long i = 0; i < K; i++) {
        const REAL z = y[i] * f[i], size = z < 0 ? -z : z;
        e[i] = exp_minus(size);
        linear[i] = z < 0 ? -z : 0;
        const REAL away = 1 / (1 + e[i]); /* 1 / (1 + exp(-|z|)) */
        g[i] = -y[i] * (z < 0 ? away : e[i] * away) / (REAL)n;
    }
    double loss = 0, product = 1;
    for (long i = 0; i < n; i++) {
        loss += (double)linear[i];
        if (exact) {
            loss += log1p((double)e[i]);
        } else {
            product *= 1 + (double)e[i];
            if (i % 512 == 511) loss += log(product), product = 1;
        }
        if (f[i] != f[i]) loss = NAN; /* the branches above may have dropped a NaN */
    }
    return (loss + log(product)) / (double)n;
}

/* Trains cells [from, to). Arrays are dense, cells first: G (c,k,k), A0, B (c,r,k), v (c,r), y, t (c,n), and per cell
 * eta, eta_head, limit, status, status_step. Column 0 of G, A0, B is the signal. Returns 0, or 1 without memory. */
int NAME(long from, long to, long n, long R, long steps, long first_step, double stop_loss, double diverged_at,
         const REAL *G, const REAL *A0, REAL *B, REAL *v, const REAL *y, const REAL *t, const REAL *eta,
         const REAL *eta_head, REAL *limit, int64_t *status, int64_t *status_step) {
    const long k = n + 1, K = padded(k, LANES), Rp = padded(R, ROWS);
    const size_t count = (size_t)(K * K + 3 * Rp * K + 6 * K);
    REAL *memory = aligned_alloc(BYTES, (size_t)padded((long)(count * sizeof(REAL)), BYTES));
    if (!memory) return 1;
    REAL *g_ = memory, *a0 = g_ + K * K, *b = a0 + Rp * K, *a = b + Rp * K, *f = a + Rp * K, *g = f + K, *e = g + K,
         *linear = e + K, *yi = linear + K, *ti = yi + K;
    for (long cell = from; cell < to; cell++) {
        if (status[cell]) continue;
        memset(memory, 0, count * sizeof(REAL));
        /* column j of the dense arrays goes to column (j + n) % k here: noise first, signal last */
        for (long i = 0; i < k; i++)
            for (long j = 0; j < k; j++) g_[((i + n) % k) * K + (j + n) % k] = G[(cell * k + i) * k + j];
        for (long r = 0; r < R; r++)
            for (long j = 0; j < k; j++) {
                a0[r * K + (j + n) % k] = A0[(cell * R + r) * k + j];
                b[r * K + (j + n) % k] = B[(cell * R + r) * k + j];
            }
        for (long i = 0; i < n; i++) yi[i] = y[cell * n + i], ti[i] = t[cell * n + i];
        REAL *const w = v + cell * R;
        const REAL step = eta[cell], step_head = eta_head[cell];
        for (long s = 0; s < steps; s++) {
            products(Rp, K, k, a0, b, g_, a);
            REAL up = 0, down = 0; /* f of the signal patch for t = +1 and -1 */
            memset(f, 0, (size_t)K * sizeof(REAL));
            for (long r = 0; r < R; r++) {
                const REAL on_signal = a[r * K + n], vr = w[r];
                up += vr * (on_signal > 0 ? on_signal : 0);
                down += vr * (on_signal < 0 ? -on_signal : 0);
                for (long i = 0; i < K; i += LANES) *(vec *)(f + i) += vr * relu(*(const vec *)(a + r * K + i));
            }
            for (long i = 0; i < n; i++) f[i] += ti[i] > 0 ? up : down;
            const double loss = slopes(n, K, yi, f, g, e, linear, stop_loss > 0);
            if (first_step + s == 0) limit[cell] = (REAL)(diverged_at * (loss == loss ? fabs(loss) : 0));
            if (!(loss <= (double)limit[cell])) status[cell] = 2;
            else if (stop_loss > 0 && loss <= stop_loss) status[cell] = 1;
            if (status[cell]) {
                status_step[cell] = first_step + s;
                break;
            }
            for (long i = 0; i < K; i++) e[i] = ti[i] > 0 ? g[i] : 0, linear[i] = ti[i] < 0 ? g[i] : 0;
            const REAL g_up = sum_of(e, K), g_down = sum_of(linear, K);
            for (long r = 0; r < R; r++) {
                const REAL vr = w[r], on_signal = a[r * K + n], move = -step * vr;
                vec lanes = {0};
                REAL *const row = b + r * K, *const at = a + r * K;
                at[n] = 0; /* the signal column moves below */
                for (long i = 0; i < K; i += LANES) {
                    const vec x = *(const vec *)(at + i), gi = *(const vec *)(g + i);
                    const vec active = (vec)((words)gi & (x > (vec){0}));
                    lanes += x * active;
                    *(vec *)(row + i) += move * active;
                }
                REAL slope = 0;
                for (long h = 0; h < LANES; h++) slope += lanes[h];
                if (on_signal > 0) slope += g_up * on_signal, row[n] += move * g_up;
                if (on_signal < 0) slope -= g_down * on_signal, row[n] -= move * g_down;
                w[r] = vr - step_head * slope;
            }
        }
        for (long r = 0; r < R; r++)
            for (long j = 0; j < k; j++) B[(cell * R + r) * k + j] = b[r * K + (j + n) % k];
    }
    free(memory);
    return 0;
}
