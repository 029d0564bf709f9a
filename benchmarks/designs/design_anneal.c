/* Simulated annealing of a design, for benchmarks/designs/design_table.py: the same moves as
 * skmixup/design/exchange.py (exchange the levels of two runs in one factor), accepted as
 * Metropolis does.
 *
 * While one factor is rearranged, R, the product of the pair kernel over the *other* factors, stays
 * as it is: so the search stays with a factor for some hundred proposals, divides its kernel out of
 * the products once before and multiplies it in once after. A proposal is then one pass over four
 * rows of n numbers, without a division.
 *
 *     cc -O3 -march=native -ffast-math -shared -fPIC -o design_anneal.so design_anneal.c -lm
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { WIDTH = 8, DRAWS = 4096 };

static uint64_t state[4]; /* xoshiro256**, Blackman & Vigna 2018 */
static double exponential[DRAWS]; /* quantiles of the exponential distribution */

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

static void start(uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t x = seed += 0x9e3779b97f4a7c15ULL;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        state[i] = x ^ (x >> 31);
    }
    for (int i = 0; i < DRAWS; i++)
        exponential[i] = -log((i + 0.5) / DRAWS);
}

typedef struct {
    int n, m, s, q; /* runs, the same padded to whole vectors, factors, levels */
    const double *pair, *single; /* (q, q) and (q) */
    int *design; /* (n, s) */
    double *pairs, *singles; /* (n, m) and (n): products over all factors, or over all but one */
    double *kernel; /* (q, m): k(a, level of run j) in the factor at hand; padded with ones */
    int *level; /* (n): the factor at hand */
    int half; /* 0, or: runs i and i + half mirror each other, a last odd run lies in the middle */
    uint64_t *code, *weight; /* (n) and (s): a run's levels as one number, practically always its
                              * own; null where runs may be repeated */
    uint64_t at_hand; /* the weight of the factor at hand */
} Search;

static void refresh(Search *w)
{
    for (int i = 0; i < w->n; i++) {
        const int *u = w->design + i * w->s;
        w->singles[i] = 1;
        for (int c = 0; c < w->s; c++)
            w->singles[i] *= w->single[u[c]];
        for (int j = 0; j < w->m; j++) {
            double product = j < w->n;
            for (int c = 0; c < w->s && j < w->n; c++)
                product *= w->pair[u[c] * w->q + w->design[j * w->s + c]];
            w->pairs[i * w->m + j] = product;
        }
    }
}

static void encode(Search *w)
{
    for (int c = 0; c < w->s; c++)
        w->weight[c] = next();
    for (int i = 0; i < w->n; i++) {
        w->code[i] = 0;
        for (int c = 0; c < w->s; c++)
            w->code[i] += w->weight[c] * (uint64_t)w->design[i * w->s + c];
    }
}

static double value(const Search *w) /* the squared discrepancy without its constant */
{
    double both = 0, one = 0;
    for (int i = 0; i < w->n; i++) {
        one += w->singles[i];
        for (int j = 0; j < w->n; j++)
            both += w->pairs[i * w->m + j];
    }
    return both / ((double)w->n * w->n) - 2 * one / w->n;
}

static void take_out(Search *w, int c)
{
    for (int i = 0; i < w->n; i++)
        w->level[i] = w->design[i * w->s + c];
    if (w->code)
        w->at_hand = w->weight[c];
    for (int a = 0; a < w->q; a++)
        for (int j = 0; j < w->m; j++)
            w->kernel[a * w->m + j] = j < w->n ? w->pair[a * w->q + w->level[j]] : 1;
    for (int i = 0; i < w->n; i++) {
        const double *restrict k = w->kernel + w->level[i] * w->m;
        double *restrict p = w->pairs + i * w->m;
        for (int j = 0; j < w->m; j++)
            p[j] /= k[j];
        w->singles[i] /= w->single[w->level[i]];
    }
}

static void put_in(Search *w, int c)
{
    for (int i = 0; i < w->n; i++) {
        const double *restrict k = w->kernel + w->level[i] * w->m;
        double *restrict p = w->pairs + i * w->m;
        for (int j = 0; j < w->m; j++)
            p[j] *= k[j];
        w->singles[i] *= w->single[w->level[i]];
        w->design[i * w->s + c] = w->level[i];
    }
}

/* What exchanging the levels of runs i and j of the factor at hand adds to n² times the value. */
ALWAYS_INLINE double difference(const Search *w, int m, int i, int j)
{
    int a = w->level[i], b = w->level[j], q = w->q;
    const double *restrict p = w->pairs + i * m, *restrict r = w->pairs + j * m;
    const double *restrict from = w->kernel + a * m, *restrict to = w->kernel + b * m;
    double sum = 0;
    for (int k = 0; k < m; k++)
        sum += (p[k] - r[k]) * (to[k] - from[k]);
    double aa = w->pair[a * q + a], ab = w->pair[a * q + b], bb = w->pair[b * q + b];
    sum -= (p[i] - p[j]) * (ab - aa) + (p[j] - r[j]) * (bb - ab);
    return 2 * sum + (p[i] - r[j]) * (bb - aa)
           - 2.0 * w->n * (w->singles[i] - w->singles[j]) * (w->single[b] - w->single[a]);
}

static void exchange_one(Search *w, int i, int j)
{
    int a = w->level[i], b = w->level[j];
    w->level[i] = b;
    w->level[j] = a;
    if (w->code) {
        w->code[i] += w->at_hand * (uint64_t)(b - a);
        w->code[j] += w->at_hand * (uint64_t)(a - b);
    }
    for (int x = 0; x < w->q; x++) {
        double *k = w->kernel + x * w->m, other = k[i];
        k[i] = k[j];
        k[j] = other;
    }
}

/* The same where the mirror images of runs i and j, not each other's, exchange theirs as well. */
ALWAYS_INLINE double difference_of_both(const Search *w, int m, int i, int j)
{
    int a = w->level[i], b = w->level[j], q = w->q, h = w->half;
    int runs[4] = {i, j, i < h ? i + h : i - h, j < h ? j + h : j - h};
    int old[4] = {a, b, q - 1 - a, q - 1 - b}, new[4] = {b, a, q - 1 - b, q - 1 - a};
    const double *restrict p = w->pairs + i * m, *restrict r = w->pairs + j * m;
    const double *restrict from = w->kernel + a * m, *restrict to = w->kernel + b * m;
    double sum = 0;
    for (int k = 0; k < m; k++)
        sum += (p[k] - r[k]) * (to[k] - from[k]);
    sum *= 2;
    for (int x = 0; x < 4; x++) {
        int k = runs[x];
        double ka = w->pair[a * q + old[x]], kb = w->pair[b * q + old[x]];
        sum -= 2 * (p[k] - r[k]) * (kb - ka);
        sum += p[k] * (w->pair[b * q + new[x]] - ka) + r[k] * (w->pair[a * q + new[x]] - kb);
    }
    return 2 * sum - 4.0 * w->n * (w->singles[i] - w->singles[j]) * (w->single[b] - w->single[a]);
}

/* What a move adds: of runs i and j, and of their images where there are any. */
ALWAYS_INLINE double move_adds(const Search *w, int m, int i, int j)
{
    int apart = i < j ? j - i : i - j;
    return w->half && apart != w->half ? difference_of_both(w, m, i, j) : difference(w, m, i, j);
}

static void exchange(Search *w, int i, int j)
{
    int h = w->half, apart = i < j ? j - i : i - j;
    exchange_one(w, i, j);
    if (h && apart != h)
        exchange_one(w, i < h ? i + h : i - h, j < h ? j + h : j - h);
}

static int is_repeated(const Search *w, int i)
{
    int same = 0;
    for (int k = 0; k < w->n; k++)
        same += w->code[k] == w->code[i];
    return same > 1;
}

/* Make the move unless it would repeat a run; whether it was made. What holds for two runs holds
 * for their images. */
static int move(Search *w, int i, int j)
{
    exchange(w, i, j);
    if (!w->code || (!is_repeated(w, i) && !is_repeated(w, j)))
        return 1;
    exchange(w, i, j);
    return 0;
}

/* Swaps of one factor at one temperature; returns what they added to n² times the value. */
ALWAYS_INLINE double rearrange_any(Search *w, int m, int proposals, double temperature)
{
    double added = 0;
    int n = w->half ? 2 * w->half : w->n;
    for (int t = 0; t < proposals; t++) {
        uint64_t draw = next();
        int i = (int)(((draw & 0xffffff) * n) >> 24);
        int j = (int)((((draw >> 24) & 0xffffff) * (n - 1)) >> 24);
        j += j >= i;
        if (w->level[i] == w->level[j])
            continue;
        double delta = move_adds(w, m, i, j);
        if (delta < temperature * exponential[draw >> 52] && move(w, i, j))
            added += delta;
    }
    return added;
}

/* The same, compiled once for each width that small designs have: loops of known length. */
static double rearrange(Search *w, int proposals, double temperature)
{
    switch (w->m) {
    case 8: return rearrange_any(w, 8, proposals, temperature);
    case 16: return rearrange_any(w, 16, proposals, temperature);
    case 24: return rearrange_any(w, 24, proposals, temperature);
    case 32: return rearrange_any(w, 32, proposals, temperature);
    case 40: return rearrange_any(w, 40, proposals, temperature);
    case 48: return rearrange_any(w, 48, proposals, temperature);
    default: return rearrange_any(w, w->m, proposals, temperature);
    }
}

/* Improving swaps until there are none. */
static double descend(Search *w, double tolerance)
{
    double added = 0;
    int n = w->half ? 2 * w->half : w->n;
    for (int still = 0, c = 0; still < w->s; c = (c + 1) % w->s, still++) {
        take_out(w, c);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++) {
                if (w->level[i] == w->level[j])
                    continue;
                double delta = move_adds(w, w->m, i, j);
                if (delta < -tolerance && move(w, i, j)) {
                    added += delta;
                    still = -1;
                }
            }
        put_in(w, c);
    }
    return added;
}

/* Anneal design (n, s), levels 0 ... q - 1, in place: so many sweeps over all factors, n proposals
 * times `stay` for each; the temperature falls from hot to cold, both shares of what the median
 * swap adds to a design that no swap improves. half: as in Search; distinct: no move repeats a
 * run. The best design met is left there.
 * Returns 0, or 1 where memory is short. */
int anneal(int n, int s, int q, const double *pair, const double *single, int *design,
           int64_t sweeps, int stay, double hot, double cold, int half, int distinct,
           uint64_t seed)
{
    int m = (n + WIDTH - 1) / WIDTH * WIDTH;
    Search w = {.n = n, .m = m, .s = s, .q = q, .pair = pair, .single = single, .design = design,
                .half = half};
    w.pairs = aligned_alloc(64, sizeof(double) * n * m);
    w.kernel = aligned_alloc(64, sizeof(double) * q * m);
    w.singles = malloc(sizeof(double) * n);
    w.level = malloc(sizeof(int) * n);
    int *best = malloc(sizeof(int) * n * s);
    if (!w.pairs || !w.kernel || !w.singles || !w.level || !best)
        return 1;
    start(seed);
    if (distinct) {
        w.code = calloc(n, sizeof(uint64_t));
        w.weight = malloc(sizeof(uint64_t) * s);
        if (!w.code || !w.weight)
            return 1;
        encode(&w);
    }
    refresh(&w);
    double tolerance = 1e-12 * n * n;
    descend(&w, tolerance);
    refresh(&w);
    double typical = 0;
    int64_t seen = 0;
    for (int c = 0; c < s; c++) {
        take_out(&w, c);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++)
                if (w.level[i] != w.level[j]) {
                    typical += fabs(difference(&w, m, i, j));
                    seen++;
                }
        put_in(&w, c);
    }
    typical = seen ? typical / (double)seen : 0;
    double now = value(&w) * n * n, best_value = now;
    memcpy(best, design, sizeof(int) * n * s);
    for (int64_t t = 0; t < sweeps; t++) {
        double temperature = typical * hot * pow(cold / hot, (double)t / (double)sweeps);
        if (t % 1024 == 1023) { /* removes the rounding of many updates */
            refresh(&w);
            now = value(&w) * n * n;
        }
        for (int f = 0; f < s; f++) {
            int c = (int)(((next() >> 32) * (uint64_t)s) >> 32);
            take_out(&w, c);
            now += rearrange(&w, n * stay, temperature);
            put_in(&w, c);
        }
        if (now < best_value - tolerance) {
            best_value = now;
            memcpy(best, design, sizeof(int) * n * s);
        }
    }
    refresh(&w);
    descend(&w, tolerance);
    refresh(&w);
    if (value(&w) * n * n >= best_value) {
        memcpy(design, best, sizeof(int) * n * s);
        if (distinct)
            encode(&w);
        refresh(&w);
        descend(&w, tolerance);
    }
    free(w.code);
    free(w.weight);
    free(w.pairs);
    free(w.kernel);
    free(w.singles);
    free(w.level);
    free(best);
    return 0;
}

#include "design_symmetric.c"
