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
 * Columns are held noise first, signal last, padded with zeros to whole vectors; rows are padded to whole tiles.
 * Reductions run in fixed lanes, so the result does not depend on how the compiler reorders; no flag that assumes
 * finite numbers may be used.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES ((long)(VECTOR_BYTES / sizeof(REAL)))
/* A register tile is ROWS x WIDE vectors of sums; beside them the processor holds WIDE of G, one number of B, and, where
 * it cannot multiply and add in one instruction, a product. */
#if VECTOR_REGISTERS >= 32
#define ROWS 4
#define WIDE 4
#elif VECTOR_BYTES > 16
#define ROWS 4
#define WIDE 3
#else
#define ROWS 2
#define WIDE 3
#endif

typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
#if REAL_IS_FLOAT
typedef int32_t word;
#define EXPONENT 23
#define ROUNDER 12582912.0f /* 1.5 * 2^23: adding it rounds to whole numbers */
#define DEEPEST 87.0f       /* exp(-87) is still a normal number */
#define TERMS 7
#else
typedef int64_t word;
#define EXPONENT 52
#define ROUNDER 6755399441055744.0
#define DEEPEST 708.0
#define TERMS 13
#endif
typedef word words __attribute__((vector_size(VECTOR_BYTES)));
#if (VECTOR_BYTES == 64 && defined __AVX512F__) || (VECTOR_BYTES == 32 && defined __AVX__) || \
    (VECTOR_BYTES == 16 && defined __SSE2__)
#define KEEP(x) __asm__("" : "+v"(x)) /* held in a register, not loaded anew for every row */
#else
#define KEEP(x) (void)0
#endif
#define INLINE static inline __attribute__((always_inline))

typedef struct {         /* one cell */
    long n, R, K, Rp;    /* samples, filters, padded columns and rows */
    REAL *G;             /* (K, K) */
    REAL *A0, *B, *A;    /* (Rp, K) */
    REAL *v, *a, *s, *b; /* (Rp): output weights, signal column of A, the noise patch's part of dL/dv, change of b */
    REAL *y, *t, *f, *g; /* (K): labels observed and true, outputs, dL/df */
} Cell;

static long padded(long count, long unit) { return (count + unit - 1) / unit * unit; }
INLINE vec at(const REAL *x) { return *(const vec *)x; }
INLINE void put(REAL *x, vec value) { *(vec *)x = value; }
INLINE vec where(words mask, vec x) { return (vec)((words)x & mask); }
INLINE vec choose(words mask, vec x, vec y) { return (vec)(((words)x & mask) | ((words)y & ~mask)); }
INLINE vec relu(vec x) { return (vec)((words)x & ~(x <= (vec){0})); } /* NaN stays NaN, as in torch.relu */

/* Sum of the lanes, in pieces of 16 bytes as long as there are several. */
INLINE REAL total(vec x) {
    typedef REAL part __attribute__((vector_size(16)));
    part parts[VECTOR_BYTES / 16];
    memcpy(parts, &x, sizeof x);
    for (long half = VECTOR_BYTES / 32; half; half /= 2)
        for (long h = 0; h < half; h++) parts[h] += parts[h + half];
#if REAL_IS_FLOAT
    return (parts[0][0] + parts[0][2]) + (parts[0][1] + parts[0][3]);
#else
    return parts[0][0] + parts[0][1];
#endif
}

/* exp(-x) for x >= 0, to within two units in the last place; nothing below exp(-DEEPEST). */
INLINE vec exp_minus(vec x) {
    static const REAL inverse[] = {1, 1, 1 / (REAL)2, 1 / (REAL)6, 1 / (REAL)24, 1 / (REAL)120, 1 / (REAL)720,
        1 / (REAL)5040, 1 / (REAL)40320, 1 / (REAL)362880, 1 / (REAL)3628800, 1 / (REAL)39916800,
        1 / (REAL)479001600, 1 / (REAL)6227020800.0};
    const vec y = -choose(x > (REAL)DEEPEST, (vec){0} + (REAL)DEEPEST, x);
    const vec shifted = y * (REAL)1.4426950408889634 + (REAL)ROUNDER, whole = shifted - (REAL)ROUNDER;
    const vec rest = (y - whole * (REAL)0.693145751953125) - whole * (REAL)1.42860682030941723212e-6;
    vec sum = (vec){0} + inverse[TERMS];
    for (int k = TERMS - 1; k >= 0; k--) sum = sum * rest + inverse[k];
    return (vec)((words)sum + ((words)shifted << EXPONENT)); /* times 2^whole */
}

/* Columns [c, c + vectors * LANES) of A = A0 + B G, and of f = sum_r v_r relu(A_r). */
INLINE void columns(const Cell *x, const long vectors, const long c) {
    const long K = x->K, used = x->n + 1;
    vec f[WIDE];
    for (long h = 0; h < vectors; h++) f[h] = (vec){0};
    for (long r = 0; r < x->Rp; r += ROWS) {
        const REAL *B = x->B + r * K, *G = x->G + c;
        vec sum[ROWS][WIDE];
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++) sum[i][h] = at(x->A0 + (r + i) * K + c + h * LANES);
        for (long k = 0; k < used; k++, G += K) {
            vec held[WIDE];
            for (long h = 0; h < vectors; h++) {
                held[h] = at(G + h * LANES);
                KEEP(held[h]);
            }
            for (long i = 0; i < ROWS; i++)
                for (long h = 0; h < vectors; h++) sum[i][h] += B[i * K + k] * held[h];
        }
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
        const long left = (x->K - c) / LANES;
        take = left == WIDE + 1 ? (left + 1) / 2 : left < WIDE ? left : WIDE; /* no column of vectors left alone */
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
 * eta, eta_head, limit, status, status_step. Column 0 of G, A0, B is the signal. Returns 0, or 1 without memory. */
int NAME(long from, long to, long n, long R, long steps, long first_step, double stop_loss, double diverged_at,
         const REAL *G, const REAL *A0, REAL *B, REAL *v, const REAL *y, const REAL *t, const REAL *eta,
         const REAL *eta_head, REAL *limit, int64_t *status, int64_t *status_step) {
    const long k = n + 1, K = padded(k, LANES), Rp = padded(R, ROWS > LANES ? ROWS : LANES);
    const size_t bytes = (size_t)(K * K + 3 * Rp * K + 4 * Rp + 4 * K) * sizeof(REAL);
    REAL *const memory = aligned_alloc(VECTOR_BYTES, bytes);
    if (!memory) return 1;
    Cell x = {n, R, K, padded(R, ROWS), memory};
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
