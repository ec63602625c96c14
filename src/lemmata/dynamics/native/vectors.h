/* Vectors of VECTOR_BYTES, and what the kernels do with them: exponentials, sums, and products of small matrices.
 *
 * REAL is float (REAL_IS_FLOAT) or double; VECTOR_BYTES and VECTOR_REGISTERS are set by lemmata/compiled.py. Matrices are
 * row by row, padded with zeros: rows to whole vectors (LANES), columns to whole tiles (ROWS). Reductions run in fixed
 * lanes, so results do not depend on how the compiler reorders; no flag that assumes finite numbers may be used.
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

/* sum += X Y on a register tile: ROWS rows of X, `vectors` vectors of columns of Y, `count` terms. */
INLINE void multiply(vec sum[ROWS][WIDE], const long vectors, long count, const REAL *X, long width_x, const REAL *Y,
                     long width_y) {
    for (long k = 0; k < count; k++, Y += width_y) {
        vec held[WIDE];
        for (long h = 0; h < vectors; h++) {
            held[h] = at(Y + h * LANES);
            KEEP(held[h]);
        }
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++) sum[i][h] += X[i * width_x + k] * held[h];
    }
}

/* How many of the `left` vectors of columns the next tile takes: as many as fit, and never one alone at the end. */
INLINE long next_tile(long left) { return left == WIDE + 1 ? (left + 1) / 2 : left < WIDE ? left : WIDE; }

/* out = start + X Y for X (rows, count), Y (count, columns), start and out (rows, columns), each with its width in
 * memory; without `start` it is 0. `rows` a multiple of ROWS, `columns` of LANES. */
typedef struct { const REAL *data; long width; } Matrix;

INLINE void product_columns(const long vectors, long c, long rows, long count, Matrix start, Matrix X, Matrix Y,
                            REAL *out, long width) {
    for (long r = 0; r < rows; r += ROWS) {
        vec sum[ROWS][WIDE];
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++)
                sum[i][h] = start.data ? at(start.data + (r + i) * start.width + c + h * LANES) : (vec){0};
        multiply(sum, vectors, count, X.data + r * X.width, X.width, Y.data + c, Y.width);
        for (long i = 0; i < ROWS; i++)
            for (long h = 0; h < vectors; h++) put(out + (r + i) * width + c + h * LANES, sum[i][h]);
    }
}

static inline void product(long rows, long columns, long count, Matrix start, Matrix X, Matrix Y, REAL *out, long width) {
    for (long c = 0, take; c < columns; c += take * LANES) {
        take = next_tile((columns - c) / LANES);
        switch (take) {
        case 1: product_columns(1, c, rows, count, start, X, Y, out, width); break;
        case 2: product_columns(2, c, rows, count, start, X, Y, out, width); break;
        case 3: product_columns(3, c, rows, count, start, X, Y, out, width); break;
        default: product_columns(WIDE, c, rows, count, start, X, Y, out, width);
        }
    }
}

/* The transpose of X (rows, columns) into out, whose rows are `width` apart. */
static inline void transpose(long rows, long columns, Matrix X, REAL *out, long width) {
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) out[j * width + i] = X.data[i * X.width + j];
}
