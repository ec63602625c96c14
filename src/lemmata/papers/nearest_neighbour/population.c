/* The exact population loss of the two-parameter network and its slopes, for one cell: the sums of theory.py, in its order,
 * with everything of one t in the processor's cache. Exponentials by Cody and Waite's reduction and a polynomial, powers of
 * a whole n by squaring; loops over the 16 nodes of a panel are what the compiler vectorises. */

#include <stdint.h>
#include <string.h>

#define ORDER 16

static inline double bounded_exp(double x) {
    /* e^x for x <= 700, to 2e-16; below -700 it is e^-700, which adds nothing here. */
    x = x < -700.0 ? -700.0 : x;
    const double shifted = x * 1.4426950408889634 + 6755399441055744.0; /* the nearest whole number in the low bits */
    const double whole = shifted - 6755399441055744.0;
    const double r = (x - whole * 0.693147180369123816490) - whole * 1.90821492927058770002e-10;
    double p = 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    uint64_t bits, scale;
    memcpy(&bits, &p, 8);
    memcpy(&scale, &shifted, 8);
    bits += scale << 52;
    memcpy(&p, &bits, 8);
    return p;
}

static inline void power(const double *base, long exponent, double *out) {
    double square[ORDER];
    for (int i = 0; i < ORDER; i++) {
        square[i] = base[i];
        out[i] = 1.0;
    }
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            for (int i = 0; i < ORDER; i++) out[i] *= square[i];
        for (int i = 0; i < ORDER; i++) square[i] *= square[i];
    }
}

static double total(const double *parts) {
    double four[4]; /* a chain of 16 additions would wait for each */
    for (int i = 0; i < 4; i++) four[i] = (parts[i] + parts[i + 4]) + (parts[i + 8] + parts[i + 12]);
    return (four[0] + four[1]) + (four[2] + four[3]);
}

/* less, density, weight: (nodes); within: (16, 16) transposed; t, dt: (times); k: room for (nodes);
 * out: L, dL/dxi1, dL/dxi2. n is at least 2. */
void population(long nodes, long times, const double *less, const double *density, const double *weight,
                const double *within, const double *t, const double *dt, double xi1, double c, long n, double *k,
                double *out) {
    double squares = 0, squares_t = 0, squares_slope = 0, best = 0, best_t = 0, best_slope = 0;
    for (long i = 0; i < nodes; i++) k[i] = bounded_exp(xi1 * less[i]);
    for (long at = 0; at < times; at++) {
        const double now = t[at];
        double whole = 0, whole_slope = 0;
        double square[ORDER] = {0}, square_s[ORDER] = {0}, square_t[ORDER] = {0};
        double near_b[ORDER] = {0}, near_s[ORDER] = {0}, near_t[ORDER] = {0}, near_m[ORDER] = {0};
        for (long first = 0; first < nodes; first += ORDER) {
            double kept[ORDER], z[ORDER], zs[ORDER], below[ORDER], slope[ORDER], near[ORDER], w[ORDER], ws[ORDER];
            for (int i = 0; i < ORDER; i++) {
                const double ki = k[first + i], by = less[first + i] * ki;
                kept[i] = bounded_exp(-now * ki);
                z[i] = kept[i] * density[first + i];
                zs[i] = z[i] * by;
                w[i] = kept[i] * weight[first + i];
                ws[i] = w[i] * by;
                square[i] += w[i] * ki * ki;
                square_s[i] += ws[i] * ki;
                square_t[i] += ws[i] * ki * ki;
                below[i] = whole;
                slope[i] = whole_slope;
            }
            for (int j = 0; j < ORDER; j++)
                for (int i = 0; i < ORDER; i++) {
                    below[i] += within[j * ORDER + i] * z[j];
                    slope[i] += within[j * ORDER + i] * zs[j];
                }
            power(below, n - 2, near);
            for (int i = 0; i < ORDER; i++) {
                const double ki = k[first + i], all = near[i] * below[i];
                near_b[i] += w[i] * ki * all;
                near_s[i] += ws[i] * all;
                near_t[i] += ws[i] * ki * all;
                near_m[i] += w[i] * ki * near[i] * slope[i];
            }
            whole += total(w);
            whole_slope += total(ws);
        }
        double every[ORDER], to[ORDER];
        for (int i = 0; i < ORDER; i++) every[i] = whole;
        power(every, n - 2, to);
        const double damp = dt[at] * bounded_exp(-now * c), a = total(square);
        const double a_slope = 2 * total(square_s) - now * total(square_t);
        const double each = damp * now * a * to[0] * whole;
        const double nearest = total(near_b);
        squares += each;
        squares_t += each * now;
        squares_slope += damp * now * to[0] * (a_slope * whole - (n - 1) * a * now * whole_slope);
        best += damp * nearest;
        best_t += damp * now * nearest;
        best_slope += damp * (total(near_s) - now * total(near_t) - (n - 1) * now * total(near_m));
    }
    out[0] = 0.5 * (n * squares - 2 * n * best + 1);
    out[1] = 0.5 * n * squares_slope - n * best_slope;
    out[2] = c * (0.5 * n * squares_t - n * best_t);
}
