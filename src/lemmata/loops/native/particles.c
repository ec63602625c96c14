// Risk and exact gradient of particle Transformers (attention, then tanh neurons), one cell after the other.
//
// Prompts are the lanes of a vector: a block of LANES prompts runs all layers forward, then back by the discrete adjoint,
// while what it keeps (tokens, attention weights, neurons) sits in the processor's cache. A particle is one row
// V (WIDTH, WIDTH), A (WIDTH, WIDTH), a (WIDTH), b (WIDTH) and, with BIAS, beta, as the Python modules hold it.
// Compiled with REAL, WIDTH (d), TOKENS (n) and BIAS (0 or 1) defined.
#include <stdlib.h>
#include <string.h>
#include "lanes.h"
#define D WIDTH
#define N TOKENS
#define SIZE (2 * D * D + 2 * D + BIAS)
#define EACH(i, n) for (int i = 0; i < (n); i++)

typedef struct { vec at[D][N]; } tokens_t;

static inline void attend(const REAL *restrict A, const vec (*restrict T)[N], int q, vec *restrict g) {
  EACH(j, D) { g[j] = T[0][q] * A[j * D]; for (int e = 1; e < D; e++) g[j] += T[e][q] * A[j * D + e]; }
}

static void layer_forward(int M, REAL weight, const REAL *restrict theta, const tokens_t *restrict before,
                          tokens_t *restrict between, tokens_t *restrict after, vec *restrict p, vec *restrict z) {
  const vec (*T)[N] = before->at;
  vec moved[D][N];
  memset(moved, 0, sizeof moved);
  EACH(m, M) {
    const REAL *V = theta + (size_t)m * SIZE, *A = V + D * D;
    EACH(q, N) {
      vec g[D], c[D], w[N], top, total;
      attend(A, T, q, g);
      EACH(k, N) { vec s = g[0] * T[0][k]; for (int d = 1; d < D; d++) s += g[d] * T[d][k]; w[k] = s; top = k ? larger(top, s) : s; }
      EACH(k, N) { w[k] = exp_below_zero(w[k] - top); total = k ? total + w[k] : w[0]; }
      total = 1 / total;
      EACH(k, N) { w[k] *= total; EACH(d, D) c[d] = k ? c[d] + w[k] * T[d][k] : w[0] * T[d][0]; p[(m * N + q) * N + k] = w[k]; }
      EACH(i, D) { vec s = c[0] * V[i * D]; for (int d = 1; d < D; d++) s += c[d] * V[i * D + d]; moved[i][q] += s; }
    }
  }
  EACH(i, D) EACH(q, N) { between->at[i][q] = T[i][q] + weight * moved[i][q]; moved[i][q] = all(0); }
  EACH(m, M) {
    const REAL *a = theta + (size_t)m * SIZE + 2 * D * D, *b = a + D;
    EACH(q, N) {
      vec u = all(BIAS ? b[D] : 0);
      EACH(d, D) u += between->at[d][q] * b[d];
      u = tanh_of(u);
      z[m * N + q] = u;
      EACH(i, D) moved[i][q] += u * a[i];
    }
  }
  EACH(i, D) EACH(q, N) after->at[i][q] = between->at[i][q] + weight * moved[i][q];
}

// p: what layer_forward kept; adjoint: in, of the tokens after the layer; out, of those before. Adds to gradient.
static void layer_back(int M, REAL weight, const REAL *restrict theta, const tokens_t *restrict before,
                       const tokens_t *restrict between, const vec *restrict p, const vec *restrict z,
                       tokens_t *restrict adjoint, REAL *restrict gradient) {
  tokens_t next = *adjoint;
  EACH(m, M) {
    const REAL *a = theta + (size_t)m * SIZE + 2 * D * D, *b = a + D;
    REAL *ga = gradient + (size_t)m * SIZE + 2 * D * D, *gb = ga + D;
    vec sa[D], sb[D + 1];
    EACH(q, N) {
      vec u = z[m * N + q], du = all(0);
      EACH(i, D) { sa[i] = q ? sa[i] + u * adjoint->at[i][q] : u * adjoint->at[i][q]; du += adjoint->at[i][q] * a[i]; }
      du *= (1 - u * u) * weight;
      sb[D] = q ? sb[D] + du : du;
      EACH(i, D) { sb[i] = q ? sb[i] + du * between->at[i][q] : du * between->at[i][q]; next.at[i][q] += du * b[i]; }
    }
    EACH(i, D) { ga[i] += weight * sum(sa[i]); gb[i] += sum(sb[i]); }
    if (BIAS) gb[D] += sum(sb[D]);
  }
  const vec (*T)[N] = before->at;
  vec back[D][N];
  memset(back, 0, sizeof back);
  EACH(m, M) {
    const REAL *V = theta + (size_t)m * SIZE, *A = V + D * D;
    REAL *gV = gradient + (size_t)m * SIZE, *gA = gV + D * D;
    vec sV[D][D], sA[D][D];
    EACH(q, N) {
      const vec *w = p + (m * N + q) * N;
      vec g[D], c[D], dc[D], dg[D], dw[N], dot;
      attend(A, T, q, g);
      EACH(d, D) { dc[d] = next.at[0][q] * V[d]; for (int i = 1; i < D; i++) dc[d] += next.at[i][q] * V[i * D + d]; }
      EACH(k, N) {
        vec s = dc[0] * T[0][k];
        for (int d = 1; d < D; d++) s += dc[d] * T[d][k];
        EACH(d, D) c[d] = k ? c[d] + w[k] * T[d][k] : w[0] * T[d][0];
        dw[k] = s * w[k];
        dot = k ? dot + dw[k] : dw[0];
      }
      EACH(k, N) {
        vec ds = dw[k] - w[k] * dot;
        EACH(d, D) { dg[d] = k ? dg[d] + ds * T[d][k] : ds * T[d][0]; back[d][k] += ds * g[d] + w[k] * dc[d]; }
      }
      EACH(i, D) EACH(d, D) sV[i][d] = q ? sV[i][d] + next.at[i][q] * c[d] : next.at[i][q] * c[d];
      EACH(j, D) EACH(e, D) { sA[j][e] = q ? sA[j][e] + dg[j] * T[e][q] : dg[j] * T[e][q]; back[e][q] += dg[j] * A[j * D + e]; }
    }
    EACH(i, D) EACH(d, D) { gV[i * D + d] += weight * sum(sV[i][d]); gA[i * D + d] += weight * sum(sA[i][d]); }
  }
  EACH(i, D) EACH(q, N) adjoint->at[i][q] = next.at[i][q] + weight * back[i][q];
}

static int one_cell(int L, int M, int S, REAL weight, REAL ridge, const REAL *theta, const REAL *tokens, const REAL *target,
                    const REAL *readout, double *risk, double *square, REAL *output, REAL *gradient) {
  tokens_t *T = aligned_alloc(64, sizeof(tokens_t) * (2 * L + 1));
  vec *p = aligned_alloc(64, sizeof(vec) * (size_t)L * M * N * N), *z = aligned_alloc(64, sizeof(vec) * (size_t)L * M * N);
  if (!T || !p || !z) { free(T); free(p); free(z); return 1; }
  *risk = *square = 0;
  for (size_t i = 0; i < (size_t)L * M * SIZE; i++) { *square += (double)theta[i] * theta[i]; gradient[i] = ridge * theta[i]; }
  for (int first = 0; first < S; first += LANES) {
    EACH(d, D) EACH(q, N) EACH(w, LANES) T->at[d][q][w] = first + w < S ? tokens[((size_t)(first + w) * N + q) * D + d] : 0;
    EACH(l, L) layer_forward(M, weight, theta + (size_t)l * M * SIZE, T + 2 * l, T + 2 * l + 1, T + 2 * l + 2,
                             p + (size_t)l * M * N * N, z + (size_t)l * M * N);
    vec residual = all(0);
    tokens_t adjoint;
    EACH(q, N) EACH(d, D) residual += readout[q * D + d] * T[2 * L].at[d][q];
    EACH(w, LANES) {
      if (first + w < S) output[first + w] = residual[w];
      residual[w] = first + w < S ? residual[w] - target[first + w] : 0;
      *risk += (double)residual[w] * residual[w] / (2 * S);
    }
    EACH(q, N) EACH(d, D) adjoint.at[d][q] = residual * (readout[q * D + d] / S);
    for (int l = L - 1; l >= 0; l--)
      layer_back(M, weight, theta + (size_t)l * M * SIZE, T + 2 * l, T + 2 * l + 1, p + (size_t)l * M * N * N,
                 z + (size_t)l * M * N, &adjoint, gradient + (size_t)l * M * SIZE);
  }
  free(T); free(p); free(z);
  return 0;
}

// cells cells: theta, gradient (cells, L, M, SIZE), tokens (cells, S, N, D), target (cells, S), readout (N, D), ridge,
// risk, square (cells), output (cells, S). gradient of risk + ridge / 2 * square, which are given apart. Returns 1 without memory, else 0.
int particles_energy(int cells, int L, int M, int S, REAL weight, const REAL *ridge, const REAL *theta, const REAL *tokens,
                     const REAL *target, const REAL *readout, double *risk, double *square, REAL *output, REAL *gradient) {
  const size_t own = (size_t)L * M * SIZE;
  EACH(c, cells)
    if (one_cell(L, M, S, weight, ridge[c], theta + c * own, tokens + (size_t)c * S * N * D, target + (size_t)c * S, readout,
                 risk + c, square + c, output + (size_t)c * S, gradient + c * own)) return 1;
  return 0;
}
