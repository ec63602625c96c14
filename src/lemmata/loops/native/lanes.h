// Vectors of REAL as wide as the processor's, with the exponential and tanh that the particle kernel needs.
// REAL is float or double (REAL_IS_DOUBLE); VECTOR_BYTES comes from the build.
#include <stdint.h>
typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
#ifdef REAL_IS_DOUBLE
typedef int64_t whole;
#else
typedef int32_t whole;
#endif
typedef whole mask __attribute__((vector_size(VECTOR_BYTES)));
#define LANES ((int)(VECTOR_BYTES / sizeof(REAL)))

static inline vec all(REAL x) { return x - (vec){0}; }
static inline vec where(mask yes, vec a, vec b) { return (vec)(((mask)a & yes) | ((mask)b & ~yes)); }
static inline vec larger(vec a, vec b) { return where(a > b, a, b); }

static inline REAL sum(vec v) {
#if defined(__AVX512F__) && VECTOR_BYTES == 64
  typedef REAL half_t __attribute__((vector_size(32)));
  union { vec whole; half_t half[2]; } u = {v};
  half_t h = u.half[0] + u.half[1];
  typedef REAL quarter_t __attribute__((vector_size(16)));
  union { half_t whole; quarter_t half[2]; } w = {h};
  quarter_t q = w.half[0] + w.half[1];
  REAL s = 0;
  for (int i = 0; i < (int)(16 / sizeof(REAL)); i++) s += q[i];
  return s;
#else
  REAL s = 0;
  for (int i = 0; i < LANES; i++) s += v[i];
  return s;
#endif
}

// exp(x) for x <= 0 by x = k log 2 + f, |f| <= log(2) / 2, and a polynomial in f: to about one unit in the last place.
static inline vec exp_below_zero(vec x) {
#ifdef REAL_IS_DOUBLE
  x = larger(x, all(-708.0));
  const REAL shift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to whole numbers
  vec t = x * 1.4426950408889634074 + shift, k = t - shift;
  vec f = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
  vec p = all(1.0 / 6227020800.0);
  p = p * f + 1.0 / 479001600.0; p = p * f + 1.0 / 39916800.0; p = p * f + 1.0 / 3628800.0; p = p * f + 1.0 / 362880.0;
  p = p * f + 1.0 / 40320.0; p = p * f + 1.0 / 5040.0; p = p * f + 1.0 / 720.0; p = p * f + 1.0 / 120.0;
  p = p * f + 1.0 / 24.0; p = p * f + 1.0 / 6.0; p = p * f + 0.5;
  p = p * f * f + f + 1.0;
  mask e = ((mask)t - (mask)all(shift) + 1023) << 52;
#else
  x = larger(x, all(-87.0f));
  const REAL shift = 12582912.0f;  // 1.5 * 2^23
  vec t = x * 1.44269504088896341f + shift, k = t - shift;
  vec f = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  vec p = all(1.9875691500e-4f);  // coefficients of Cephes' expf (S. Moshier)
  p = p * f + 1.3981999507e-3f; p = p * f + 8.3334519073e-3f; p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f; p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.0f;
  mask e = ((mask)t - (mask)all(shift) + 127) << 23;
#endif
  return p * (vec)e;
}

// To about one unit in the last place of 1; near zero the absolute error counts, as neurons are summed.
static inline vec tanh_of(vec x) {
  vec e = exp_below_zero(-2 * larger(x, -x));
  vec r = (1 - e) / (1 + e);
  return where(x < 0, -r, r);
}
