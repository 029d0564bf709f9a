/* Simulated annealing of a design, for benchmarks/designs/design_table.py: the same moves as
 * skmixup/design/exchange.py (exchange the levels of two runs in one factor), one at a time,
 * accepted as Metropolis does. One proposal costs two passes over a row of products.
 *
 *     cc -O3 -march=native -ffast-math -shared -fPIC -o design_anneal.so design_anneal.c -lm
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state[4]; /* xoshiro256**, Blackman & Vigna 2018 */

static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static uint64_t next(void)
{
    uint64_t result = rotate(state[1] * 5, 7) * 9, t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 45);
    return result;
}

static int below(int n) { return (int)(((next() >> 32) * (uint64_t)n) >> 32); }

static double uniform(void) { return (double)(next() >> 11) * 0x1p-53; }

static void start(uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t x = seed += 0x9e3779b97f4a7c15ULL;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        state[i] = x ^ (x >> 31);
    }
}

/* pairs[i, j] and singles[i]: products over the factors; kernel[c, a, j]: k(a, level of run j). */
static void products(int n, int m, int s, int q, const double *pair, const double *single,
                     const int *design, double *pairs, double *singles, double *kernel)
{
    for (int i = 0; i < n; i++) {
        singles[i] = 1;
        for (int c = 0; c < s; c++)
            singles[i] *= single[design[i * s + c]];
        for (int j = 0; j < m; j++) {
            double product = j < n;
            for (int c = 0; c < s && j < n; c++)
                product *= pair[design[i * s + c] * q + design[j * s + c]];
            pairs[i * m + j] = product;
        }
    }
    for (int c = 0; c < s; c++)
        for (int a = 0; a < q; a++)
            for (int j = 0; j < m; j++)
                kernel[((long)c * q + a) * m + j] = j < n ? pair[a * q + design[j * s + c]] : 1;
}

/* Anneal design (n, s), levels 0 ... q - 1, in place, from temperature hot down to cold; the best
 * design met is left there. Returns 0, or 1 where memory is short. */
int anneal(int n, int s, int q, const double *pair, const double *single, int *design,
           int64_t steps, double hot, double cold, uint64_t seed)
{
    int m = (n + 3) / 4 * 4; /* rows padded with zeros, for the vector units */
    double *pairs = malloc(sizeof(double) * n * m), *singles = malloc(sizeof(double) * n);
    double *kernel = malloc(sizeof(double) * s * q * m);
    int *best = malloc(sizeof(int) * n * s);
    if (!pairs || !singles || !kernel || !best)
        return 1;
    start(seed);
    memcpy(best, design, sizeof(int) * n * s);
    double temperature = hot, cooling = pow(cold / hot, 1024.0 / (double)steps);
    double value = 0, best_value = 0; /* relative to the start */
    for (int64_t t = 0; t < steps; t++) {
        if (t % 1024 == 0)
            temperature *= cooling;
        if (t % (1 << 22) == 0) /* removes the rounding of many updates */
            products(n, m, s, q, pair, single, design, pairs, singles, kernel);
        int c = below(s), i = below(n), j = below(n - 1);
        j += j >= i;
        int a = design[i * s + c], b = design[j * s + c];
        if (a == b)
            continue;
        const double *restrict from = kernel + ((long)c * q + a) * m;
        const double *restrict to = kernel + ((long)c * q + b) * m;
        double *restrict p = pairs + i * m, *restrict r = pairs + j * m;
        double sum = 0;
        for (int k = 0; k < m; k++)
            sum += p[k] * (to[k] / from[k] - 1) + r[k] * (from[k] / to[k] - 1);
        for (int k = i;; k = j) { /* runs i and j themselves change otherwise */
            sum -= p[k] * (to[k] / from[k] - 1) + r[k] * (from[k] / to[k] - 1);
            if (k == j)
                break;
        }
        double own = pair[b * q + b] / pair[a * q + a], alone = single[b] / single[a];
        double delta = (2 * sum + p[i] * (own - 1) + r[j] * (1 / own - 1)) / ((double)n * n)
                       - 2.0 / n * (singles[i] * (alone - 1) + singles[j] * (1 / alone - 1));
        if (delta > 0 && uniform() >= exp(-delta / temperature))
            continue;
        double both = p[j], first = p[i] * own, second = r[j] / own;
        for (int k = 0; k < m; k++) {
            double ratio = to[k] / from[k];
            p[k] *= ratio;
            r[k] /= ratio;
        }
        p[j] = r[i] = both;
        p[i] = first;
        r[j] = second;
        for (int k = 0; k < n; k++) {
            pairs[k * m + i] = p[k];
            pairs[k * m + j] = r[k];
        }
        singles[i] *= alone;
        singles[j] /= alone;
        design[i * s + c] = b;
        design[j * s + c] = a;
        for (int x = 0; x < q; x++) {
            double *k = kernel + ((long)c * q + x) * m, other = k[i];
            k[i] = k[j];
            k[j] = other;
        }
        value += delta;
        if (value < best_value - 1e-15) {
            best_value = value;
            memcpy(best, design, sizeof(int) * n * s);
        }
    }
    memcpy(design, best, sizeof(int) * n * s);
    free(pairs);
    free(singles);
    free(kernel);
    free(best);
    return 0;
}
