/* Gradient descent on the inner products of one tied denoiser after another, a cell's whole state in cache.
 *
 * The same numbers as the gram engine in PyTorch (gram.py, objectives/denoising.py), for full-batch gradient descent on
 * the denoising loss, its expectation taken exactly, and act(z) = z^p. With e_j = E act^(j)(z) for z ~ N(alpha a, beta^2 q),
 * q the diagonal of Q, and c_k the weight of data vector k, the loss and its gradients are sums of products of (r, k)
 * matrices (the head of objectives/denoising.py); a step is
 *
 *   A = C A0 + B G,                          S = C Q0 + B A0^T,   Q = C S^T + B A^T,
 *   B <- B - eta (dL/dA + T B),              C <- C - eta T C,    T = 2 dL/dQ.
 */
#include "vectors.h"

#define MOST 6 /* the highest power p */

typedef struct {                   /* one cell */
    long r, k, R, K, p;            /* filters, vectors, both padded, power */
    REAL alpha, variance, pull;    /* variance = beta^2, pull = -2 beta / sqrt(m) */
    double total, d;               /* sum of the weights; ambient dimension */
    REAL *G;                       /* (K, K) */
    REAL *A0, *A, *B, *on_A, *w, *e[MOST]; /* (R, K); w: c e_j */
    REAL *A0T, *T;                 /* (K, R): the transpose of A0, and one of A or e_j */
    REAL *Q0, *Q, *C, *S, *on_Q, *wQ, *outer; /* (R, R) */
    REAL *c;                       /* (K) */
    REAL *on_q;                    /* (R) */
} Cell;

#define RK(name) ((Matrix){x->name, x->K})
#define RR(name) ((Matrix){x->name, x->R})
static const Matrix none = {0, 0};

static void inner_products(const Cell *x) {
    product(x->R, x->K, x->r, none, RR(C), RK(A0), x->A, x->K);
    product(x->R, x->K, x->k, RK(A), RK(B), (Matrix){x->G, x->K}, x->A, x->K);
    product(x->R, x->R, x->r, none, RR(C), RR(Q0), x->S, x->R);
    product(x->R, x->R, x->k, RR(S), RK(B), RR(A0T), x->S, x->R);
    transpose(x->R, x->R, RR(S), x->outer, x->R);
    transpose(x->R, x->K, RK(A), x->T, x->R);
    product(x->R, x->R, x->r, none, RR(C), RR(outer), x->Q, x->R);
    product(x->R, x->R, x->k, RR(Q), RK(B), RR(T), x->Q, x->R);
}

/* e_j for j < p: with raw moments E z^(i+1) = mean E z^i + i variance E z^(i-1), e_j = p! / (p-j)! E z^(p-j). */
static void moments(const Cell *x) {
    for (long i = 0; i < x->R; i++) {
        const REAL variance = x->variance * x->Q[i * x->R + i];
        for (long c = i * x->K; c < (i + 1) * x->K; c += LANES) {
            const vec mean = x->alpha * at(x->A + c);
            vec before = (vec){0} + 1, raw = mean;
            REAL falling = 1; /* p! / (p-j)! */
            for (long power = 1; power <= x->p; power++) {
                put(x->e[x->p - power] + c, raw);
                const vec next = mean * raw + (REAL)power * variance * before;
                before = raw, raw = next;
            }
            for (long j = 0; j < x->p; j++) {
                put(x->e[j] + c, falling * at(x->e[j] + c));
                falling *= (REAL)(x->p - j);
            }
        }
    }
}

/* w = c e_j, and T the transpose of e_j. */
static void weigh(const Cell *x, long j) {
    for (long i = 0; i < x->R; i++)
        for (long c = 0; c < x->K; c += LANES) put(x->w + i * x->K + c, at(x->c + c) * at(x->e[j] + i * x->K + c));
    transpose(x->R, x->K, (Matrix){x->e[j], x->K}, x->T, x->R);
}

/* -2 E <f, eps>: its loss; on_A and on_q begin with its gradients. `top` is p!, the last of the e_j. */
static double towards_noise(const Cell *x, REAL top) {
    double loss = 0;
    for (long i = 0; i < x->R; i++) {
        const REAL pulled = x->pull * x->Q[i * x->R + i];
        vec first = {0}, third = {0};
        for (long c = 0; c < x->K; c += LANES) {
            const vec weight = at(x->c + c), second = x->p == 2 ? (vec){0} + top : at(x->e[2] + i * x->K + c);
            first += weight * at(x->e[1] + i * x->K + c);
            put(x->on_A + i * x->K + c, pulled * (weight * second));
            if (x->p > 2) third += weight * (x->p == 3 ? (vec){0} + top : at(x->e[3] + i * x->K + c));
        }
        const REAL inner = total(first);
        loss += (double)(pulled * inner);
        x->on_q[i] = x->pull * inner + (REAL)0.5 * x->variance * pulled * total(third);
    }
    return loss;
}

/* E |f|^2, term by term in derivatives: adds to on_A, on_q; on_Q begins here. */
static double length_of_output(const Cell *x, REAL top) {
    const long RRs = x->R * x->R;
    const REAL m = (REAL)x->r;
    double loss = 0;
    REAL scale = 1 / m; /* variance^j / j! / m; wQ is that times Q^(j+1) */
    for (long i = 0; i < RRs; i += LANES) put(x->wQ + i, at(x->Q + i) * (1 / m)), put(x->on_Q + i, (vec){0});
    for (long j = 0; j < x->p; j++) {
        weigh(x, j);
        product(x->R, x->R, x->k, none, RK(w), RR(T), x->outer, x->R);
        vec sum = {0};
        for (long i = 0; i < RRs; i += LANES) {
            const vec q = at(x->Q + i), outer = at(x->outer + i);
            vec power = (vec){0} + scale * (REAL)(j + 1);
            for (long l = 0; l < j; l++) power *= q;
            sum += at(x->wQ + i) * outer;
            put(x->on_Q + i, at(x->on_Q + i) + power * outer);
        }
        loss += (double)total(sum);
        for (long i = 0; i < RRs; i += LANES) put(x->outer + i, 2 * at(x->wQ + i));
        product(x->R, x->K, x->r, none, RR(outer), RK(w), x->S, x->K);
        for (long i = 0; i < x->R; i++) {
            vec lanes = {0};
            for (long c = i * x->K; c < (i + 1) * x->K; c += LANES) {
                const vec on_moment = at(x->S + c);
                put(x->on_A + c, at(x->on_A + c) + on_moment * (j + 1 == x->p ? (vec){0} + top : at(x->e[j + 1] + c)));
                if (j + 2 <= x->p) lanes += on_moment * (j + 2 == x->p ? (vec){0} + top : at(x->e[j + 2] + c));
            }
            x->on_q[i] += (REAL)0.5 * x->variance * total(lanes);
        }
        const REAL factor = x->variance / (REAL)(j + 1);
        for (long i = 0; i < RRs; i += LANES) put(x->wQ + i, at(x->wQ + i) * at(x->Q + i) * factor);
        scale *= factor;
    }
    const REAL constant = top * top * (REAL)x->total;
    vec sum = {0};
    for (long i = 0; i < RRs; i += LANES) {
        vec power = (vec){0} + constant * scale * (REAL)(x->p + 1);
        for (long l = 0; l < x->p; l++) power *= at(x->Q + i);
        sum += at(x->wQ + i);
        put(x->on_Q + i, at(x->on_Q + i) + power);
    }
    return loss + (double)(constant * total(sum));
}

/* B and C moved by eta against the gradient: 1/2 alpha on_A for A, and T = on_Q with on_q on its diagonal. */
static void move(const Cell *x, REAL eta) {
    for (long i = 0; i < x->R; i++) x->on_Q[i * x->R + i] += x->on_q[i];
    product(x->R, x->K, x->r, none, RR(on_Q), RK(B), x->S, x->K);
    product(x->R, x->R, x->r, none, RR(on_Q), RR(C), x->outer, x->R);
    const REAL half = (REAL)0.5 * x->alpha;
    for (long i = 0; i < x->R * x->K; i += LANES)
        put(x->B + i, at(x->B + i) - eta * (half * at(x->on_A + i) + at(x->S + i)));
    for (long i = 0; i < x->R * x->R; i += LANES) put(x->C + i, at(x->C + i) - eta * at(x->outer + i));
}

/* Trains one cell for at most `steps` steps; status and step as in stopping.py. */
static void train(const Cell *x, long steps, long first_step, REAL eta, double stop_loss, double diverged_at, REAL *limit,
                  int64_t *status, int64_t *status_step) {
    REAL top = 1;
    for (long i = 2; i <= x->p; i++) top *= (REAL)i;
    for (long s = 0; s < steps; s++) {
        inner_products(x);
        moments(x);
        double loss = towards_noise(x, top);
        loss = 0.5 * (loss + length_of_output(x, top) + x->total * x->d);
        if (first_step + s == 0) *limit = (REAL)(diverged_at * (loss == loss ? fabs(loss) : 0));
        if (!(loss <= (double)*limit)) *status = 2;
        else if (stop_loss > 0 && loss <= stop_loss) *status = 1;
        if (*status) {
            *status_step = first_step + s;
            return;
        }
        move(x, eta);
    }
}

static void load(REAL *to, long width, const REAL *from, long rows, long columns) {
    for (long i = 0; i < rows; i++) memcpy(to + i * width, from + i * columns, (size_t)columns * sizeof(REAL));
}

/* Trains cells [from, to) of r filters, k vectors and power p. Arrays are dense, cells first: G (c,k,k), A0, B (c,r,k),
 * Q0, C (c,r,r), weights (c,k), and per cell alpha, beta, d, eta, limit, status, status_step. Returns 0, or 1 without
 * memory. */
int NAME(long from, long to, long steps, long first_step, double stop_loss, double diverged_at, long r, long k, long p,
         const REAL *G, const REAL *A0, const REAL *Q0, REAL *B, REAL *C, const REAL *weights, const REAL *alpha,
         const REAL *beta, const REAL *d, const REAL *eta, REAL *limit, int64_t *status, int64_t *status_step) {
    const long K = padded(k, LANES), R = padded(r, ROWS > LANES ? ROWS : LANES), wide = K > R ? K : R;
    const size_t bytes = (size_t)(K * K + (8 + p) * R * wide + 6 * R * R + K + R) * sizeof(REAL);
    REAL *const memory = aligned_alloc(VECTOR_BYTES, bytes);
    if (!memory) return 1;
    Cell x = {.r = r, .k = k, .R = R, .K = K, .p = p, .G = memory};
    REAL *next = memory + K * K;
    REAL **const wide_ones[] = {&x.A0, &x.A, &x.B, &x.on_A, &x.w, &x.A0T, &x.T, &x.S};
    for (long i = 0; i < 8; i++, next += R * wide) *wide_ones[i] = next;
    for (long j = 0; j < p; j++, next += R * wide) x.e[j] = next;
    REAL **const square_ones[] = {&x.Q0, &x.Q, &x.C, &x.on_Q, &x.wQ, &x.outer};
    for (long i = 0; i < 6; i++, next += R * R) *square_ones[i] = next;
    x.c = next, x.on_q = next + K;
    for (long cell = from; cell < to; cell++) {
        if (status[cell]) continue;
        memset(memory, 0, bytes);
        load(x.G, K, G + cell * k * k, k, k);
        load(x.A0, K, A0 + cell * r * k, r, k);
        load(x.B, K, B + cell * r * k, r, k);
        load(x.Q0, R, Q0 + cell * r * r, r, r);
        load(x.C, R, C + cell * r * r, r, r);
        memcpy(x.c, weights + cell * k, (size_t)k * sizeof(REAL));
        transpose(R, K, (Matrix){x.A0, K}, x.A0T, R);
        x.alpha = alpha[cell], x.variance = beta[cell] * beta[cell], x.d = (double)d[cell], x.total = 0;
        x.pull = beta[cell] * (REAL)(-2 / sqrt((double)r));
        for (long i = 0; i < k; i++) x.total += (double)x.c[i];
        train(&x, steps, first_step, eta[cell], stop_loss, diverged_at, limit + cell, status + cell, status_step + cell);
        for (long i = 0; i < r; i++) {
            memcpy(B + (cell * r + i) * k, x.B + i * K, (size_t)k * sizeof(REAL));
            memcpy(C + (cell * r + i) * r, x.C + i * R, (size_t)r * sizeof(REAL));
        }
    }
    free(memory);
    return 0;
}
