/* Gradient descent on the inner products of one two-layer ReLU network after another, a cell's whole state in cache.
 *
 * The same numbers as the gram engine in PyTorch (gram.py, objectives/margin.py), for the commonest case: full-batch
 * gradient descent, logistic loss, ReLU, one signal vector shared by all samples and one noise vector each, one output
 * weight per filter. Compiled for float and double (REAL) and for vectors of VECTOR_BYTES, by lemmata/compiled.py.
 *
 *   f_i = sum_r v_r [relu(t_i a_r) + relu(A_ri)]         a = <w, mu>, A = <w, xi_i>, t = true labels
 *   g_i = -y_i / (n (1 + exp(y_i f_i)))                  y = observed labels
 *   B_ri += -eta v_r g_i 1[A_ri > 0],  b_r += -eta v_r sum_i g_i t_i 1[t_i a_r > 0]
 *   v_r  += -eta' sum_i g_i [relu(t_i a_r) + relu(A_ri)]
 *   [A | a] = [A | a](0) + [B | b] G
 *
 * Columns are held noise first, signal last.
 */
#include "vectors.h"

typedef struct {         /* one cell */
    long n, R, K, Rp;    /* samples, filters, padded columns and rows */
    REAL *G;             /* (K, K) */
    REAL *A0, *B, *A;    /* (Rp, K) */
    REAL *v, *a, *s, *b; /* (Rp): output weights, signal column of A, the noise patch's part of dL/dv, change of b */
    REAL *y, *t, *f, *g; /* (K): labels observed and true, outputs, dL/df */
} Cell;

/* Columns [c, c + vectors * LANES) of A = A0 + B G, and of f = sum_r v_r relu(A_r). */
INLINE void columns(const Cell *x, const long vectors, const long c) {
    const long K = x->K;
    vec f[WIDE];
    for (long h = 0; h < vectors; h++) f[h] = (vec){0};
    for (long r = 0; r < x->Rp; r += ROWS) {
        vec sum[ROWS][WIDE];
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++) sum[i][h] = at(x->A0 + (r + i) * K + c + h * LANES);
        multiply(sum, vectors, x->n + 1, x->B + r * K, K, x->G + c, K);
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++) {
                put(x->A + (r + i) * K + c + h * LANES, sum[i][h]);
                f[h] += x->v[r + i] * relu(sum[i][h]);
            }
    }
    for (long h = 0; h < vectors; h++) put(x->f + c + h * LANES, f[h]);
}

static void products(const Cell *x) {
    for (long c = 0, take; c < x->K; c += take * LANES) {
        take = next_tile((x->K - c) / LANES);
        switch (take) {
        case 1: columns(x, 1, c); break;
        case 2: columns(x, 2, c); break;
        case 3: columns(x, 3, c); break;
        default: columns(x, WIDE, c);
        }
    }
}

/* The loss to the last place, from outputs f. */
static double exact_loss(const Cell *x) {
    double loss = 0;
    for (long i = 0; i < x->n; i++) {
        const double z = (double)(x->y[i] * x->f[i]);
        loss += (z < 0 ? -z : 0) + log1p(exp(-fabs(z)));
        if (z != z) loss = NAN;
    }
    return loss / (double)x->n;
}

typedef struct { double low, high; REAL up, down; } Slopes;

/* f gains the signal patch, g_i = dL/df_i; bounds on the loss, and the sums of g over t = +1 and over t = -1.
 * With e in [0, 1]: e - e^2/2 <= log(1 + e) <= e - (1 - log 2) e^2. */
static Slopes slopes(const Cell *x, REAL up, REAL down) {
    const REAL scale = 1 / (REAL)x->n;
    vec linear = {0}, first = {0}, second = {0}, g_up = {0}, g_down = {0};
    for (long i = 0; i < x->K; i += LANES) {
        const vec y = at(x->y + i), t = at(x->t + i);
        const vec f = at(x->f + i) + choose(t > (vec){0}, (vec){0} + up, (vec){0} + down);
        const vec z = y * f;
        const words wrong = z < (vec){0}, real = y != (vec){0};
        const vec e = exp_minus(choose(wrong, -z, z)), away = 1 / (1 + e);
        const vec g = -(y * scale) * choose(wrong, away, e * away);
        put(x->f + i, f);
        put(x->g + i, g);
        linear += where(wrong, -z) + where(z != z, z);
        first += where(real, e);
        second += where(real, e * e);
        g_up += where(t > (vec){0}, g);
        g_down += where(t < (vec){0}, g);
    }
    const double sum = total(linear), e = total(first), squares = total(second), n = (double)x->n;
    const double low = sum + fmax(0.6931 * e, e - 0.5 * squares), high = sum + e - 0.3068 * squares;
    return (Slopes){0.999 * low / n, 1.001 * high / n, total(g_up), total(g_down)};
}

/* One step of B, b and v, from A, g and the slopes. */
static void move(const Cell *x, Slopes s, REAL step, REAL step_head) {
    for (long r = 0; r < x->R; r++) x->A[r * x->K + x->n] = 0; /* the signal column moves below */
    for (long r = 0; r < x->Rp; r += ROWS) {
        REAL *const B = x->B + r * x->K, *const A = x->A + r * x->K;
        REAL change[ROWS];
        vec lanes[ROWS];
        for (long j = 0; j < ROWS; j++) change[j] = -step * x->v[r + j], lanes[j] = (vec){0};
        for (long i = 0; i < x->K; i += LANES)
            for (long j = 0; j < ROWS; j++) {
                REAL *const b = B + j * x->K + i;
                const vec z = at(A + j * x->K + i), active = where(z > (vec){0}, at(x->g + i));
                lanes[j] += z * active;
                put(b, at(b) + change[j] * active);
            }
        for (long j = 0; j < ROWS; j++) x->s[r + j] = total(lanes[j]);
    }
    for (long r = 0; r < x->Rp; r += LANES) {
        const vec a = at(x->a + r), v = at(x->v + r);
        const vec on = where(a > (vec){0}, (vec){0} + s.up) - where(a < (vec){0}, (vec){0} + s.down);
        put(x->b + r, -step * v * on);
        put(x->v + r, v - step_head * (at(x->s + r) + on * a));
    }
    for (long r = 0; r < x->R; r++) x->B[r * x->K + x->n] += x->b[r];
}

/* Trains one cell for at most `steps` steps; status and step as in ends.py. */
static void train(const Cell *x, long steps, long first_step, REAL step, REAL step_head, double stop_loss,
                  double diverged_at, REAL *limit, int64_t *status, int64_t *status_step) {
    for (long s = 0; s < steps; s++) {
        products(x);
        for (long r = 0; r < x->R; r++) x->a[r] = x->A[r * x->K + x->n];
        vec up = {0}, down = {0}; /* f of the signal patch for t = +1 and -1 */
        for (long r = 0; r < x->Rp; r += LANES) {
            up += at(x->v + r) * relu(at(x->a + r));
            down += at(x->v + r) * relu(-at(x->a + r));
        }
        const Slopes found = slopes(x, total(up), total(down));
        double loss = 0;
        const int near = !(found.high <= (double)*limit) || (stop_loss > 0 && !(found.low > stop_loss));
        if (near || first_step + s == 0) loss = exact_loss(x);
        if (first_step + s == 0) *limit = (REAL)(diverged_at * (loss == loss ? fabs(loss) : 0));
        if (near && !(loss <= (double)*limit)) *status = 2;
        else if (near && stop_loss > 0 && loss <= stop_loss) *status = 1;
        if (*status) {
            *status_step = first_step + s;
            return;
        }
        move(x, found, step, step_head);
    }
}

/* Trains cells [from, to). Arrays are dense, cells first: G (c,k,k), A0, B (c,r,k), v (c,r), y, t (c,n), and per cell
 * eta_head, eta, limit, status, status_step. Column 0 of G, A0, B is the signal. Returns 0, or 1 without memory. */
int NAME(long from, long to, long steps, long first_step, double stop_loss, double diverged_at, long n, long R,
         const REAL *G, const REAL *A0, REAL *B, REAL *v, const REAL *y, const REAL *t, const REAL *eta_head,
         const REAL *eta, REAL *limit, int64_t *status, int64_t *status_step) {
    const long k = n + 1, K = padded(k, LANES), Rp = padded(R, ROWS > LANES ? ROWS : LANES);
    const size_t bytes = (size_t)(K * K + 3 * Rp * K + 4 * Rp + 4 * K) * sizeof(REAL);
    REAL *const memory = aligned_alloc(VECTOR_BYTES, bytes);
    if (!memory) return 1;
    Cell x = {.n = n, .R = R, .K = K, .Rp = padded(R, ROWS), .G = memory};
    x.A0 = x.G + K * K, x.B = x.A0 + Rp * K, x.A = x.B + Rp * K, x.v = x.A + Rp * K, x.a = x.v + Rp, x.s = x.a + Rp;
    x.b = x.s + Rp, x.y = x.b + Rp, x.t = x.y + K, x.f = x.t + K, x.g = x.f + K;
    for (long cell = from; cell < to; cell++) {
        if (status[cell]) continue;
        memset(memory, 0, bytes);
        /* column j of the dense arrays goes to column (j + n) % k here: noise first, signal last */
        for (long i = 0; i < k; i++)
            for (long j = 0; j < k; j++) x.G[(i + n) % k * K + (j + n) % k] = G[(cell * k + i) * k + j];
        for (long r = 0; r < R; r++)
            for (long j = 0; j < k; j++) {
                x.A0[r * K + (j + n) % k] = A0[(cell * R + r) * k + j];
                x.B[r * K + (j + n) % k] = B[(cell * R + r) * k + j];
            }
        for (long i = 0; i < n; i++) x.y[i] = y[cell * n + i], x.t[i] = t[cell * n + i];
        memcpy(x.v, v + cell * R, (size_t)R * sizeof(REAL));
        train(&x, steps, first_step, eta[cell], eta_head[cell], stop_loss, diverged_at, limit + cell, status + cell,
              status_step + cell);
        memcpy(v + cell * R, x.v, (size_t)R * sizeof(REAL));
        for (long r = 0; r < R; r++)
            for (long j = 0; j < k; j++) B[(cell * R + r) * k + j] = x.B[r * K + (j + n) % k];
    }
    free(memory);
    return 0;
}
