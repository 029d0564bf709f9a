/* Simulated annealing of a design that a group maps to itself, for symmetric.py.
 *
 * Element t of the group takes cell (run i, factor c) to (rows[t][i], columns[t][c]), its level u
 * to q - 1 - u where mirrors[t][c]. A move exchanges the levels of two runs in one factor and does
 * the same to all images of the two cells, so that the design stays balanced and symmetric. Only
 * the two runs are compared with all others: their images add as much.
 *
 * xoshiro and the table of quantiles are those of design_anneal.c, which includes this file.
 */

typedef struct {
    int n, s, q, order;
    const double *pair, *single;
    const int *rows, *columns, *mirrors; /* (order, n), (order, s), (order, s) */
    int *levels; /* (s, n): factors first */
    int *images; /* (s, n): how many images a cell has */
    int *size; /* (n): how many images a run has */
    double *pairs, *singles; /* (n, n), (n): products over all factors */
    double *new_i, *new_j, *weight; /* (n) each */
} Symmetric;

static void product(const Symmetric *w, int i, double *restrict out)
{
    for (int l = 0; l < w->n; l++)
        out[l] = 1;
    for (int c = 0; c < w->s; c++) {
        const int *restrict u = w->levels + c * w->n;
        const double *restrict k = w->pair + u[i] * w->q;
        for (int l = 0; l < w->n; l++)
            out[l] *= k[u[l]];
    }
}

static double single_product(const Symmetric *w, int i)
{
    double result = 1;
    for (int c = 0; c < w->s; c++)
        result *= w->single[w->levels[c * w->n + i]];
    return result;
}

static int image_level(const Symmetric *w, int t, int c, int level)
{
    return w->mirrors[t * w->s + c] ? w->q - 1 - level : level;
}

static int *image(const Symmetric *w, int t, int i, int c)
{
    return w->levels + w->columns[t * w->s + c] * w->n + w->rows[t * w->n + i];
}

static void set_images(Symmetric *w, int i, int c, int level)
{
    for (int t = 0; t < w->order; t++)
        *image(w, t, i, c) = image_level(w, t, c, level);
}

/* Whether all images of both cells are what they were set to: no cell belongs to both. */
static int are_images(const Symmetric *w, int i, int c, int level)
{
    for (int t = 0; t < w->order; t++)
        if (*image(w, t, i, c) != image_level(w, t, c, level))
            return 0;
    return 1;
}

static int same_runs(const Symmetric *w, int i)
{
    for (int l = 0; l < w->n; l++) {
        int c = 0;
        while (c < w->s && w->levels[c * w->n + i] == w->levels[c * w->n + l])
            c++;
        if (c == w->s && l != i)
            return 1;
    }
    return 0;
}

/* What the changed runs i and j, and their images, add to n^2 times the value; fills new_i and
 * new_j. */
static double change(Symmetric *w, int i, int j)
{
    int n = w->n, apart = 1;
    for (int l = 0; l < n; l++)
        w->weight[l] = 2;
    for (int t = 0; t < w->order; t++) {
        apart &= w->rows[t * n + i] != j;
        w->weight[w->rows[t * n + i]] = w->weight[w->rows[t * n + j]] = 1;
    }
    product(w, i, w->new_i);
    double sum = 0, added;
    for (int l = 0; l < n; l++)
        sum += w->weight[l] * (w->new_i[l] - w->pairs[i * n + l]);
    added = w->size[i] * (sum - 2.0 * n * (single_product(w, i) - w->singles[i]));
    if (apart) {
        product(w, j, w->new_j);
        sum = 0;
        for (int l = 0; l < n; l++)
            sum += w->weight[l] * (w->new_j[l] - w->pairs[j * n + l]);
        added += w->size[j] * (sum - 2.0 * n * (single_product(w, j) - w->singles[j]));
    }
    return added;
}

static void keep_run(Symmetric *w, int i, const double *new)
{
    int n = w->n;
    double single = single_product(w, i);
    for (int t = 0; t < w->order; t++) {
        const int *rows = w->rows + t * n;
        w->singles[rows[i]] = single;
        for (int l = 0; l < n; l++)
            w->pairs[rows[i] * n + rows[l]] = w->pairs[rows[l] * n + rows[i]] = new[l];
    }
}

static double whole_value(Symmetric *w)
{
    double sum = 0;
    for (int i = 0; i < w->n; i++) {
        product(w, i, w->pairs + i * w->n);
        w->singles[i] = single_product(w, i);
        for (int l = 0; l < w->n; l++)
            sum += w->pairs[i * w->n + l];
        sum -= 2.0 * w->n * w->singles[i];
    }
    return sum;
}

/* One proposal; returns what it added, 0 where it was not made. `seen` gets what it would add. */
static double propose(Symmetric *w, double temperature, int distinct, double *seen)
{
    uint64_t draw = next();
    int n = w->n, c = (int)(((next() >> 32) * (uint64_t)w->s) >> 32);
    int i = (int)(((draw & 0xffffff) * n) >> 24);
    int j = (int)((((draw >> 24) & 0xffffff) * (n - 1)) >> 24);
    j += j >= i;
    const int *u = w->levels + c * n;
    int a = u[i], b = u[j];
    *seen = 0;
    if (a == b || w->images[c * n + i] != w->images[c * n + j])
        return 0;
    set_images(w, i, c, b);
    set_images(w, j, c, a);
    if (are_images(w, i, c, b) && are_images(w, j, c, a)) {
        double delta = *seen = change(w, i, j);
        if (delta < temperature * exponential[draw >> 52]
            && !(distinct && (same_runs(w, i) || same_runs(w, j)))) {
            int apart = 1;
            for (int t = 0; t < w->order; t++)
                apart &= w->rows[t * n + i] != j;
            keep_run(w, i, w->new_i);
            if (apart)
                keep_run(w, j, w->new_j);
            return delta;
        }
    }
    set_images(w, i, c, a);
    set_images(w, j, c, b);
    return 0;
}

static void count_images(Symmetric *w)
{
    for (int i = 0; i < w->n; i++) {
        int fixed = 0;
        for (int t = 0; t < w->order; t++)
            fixed += w->rows[t * w->n + i] == i;
        w->size[i] = w->order / fixed;
        for (int c = 0; c < w->s; c++) {
            int still = 0;
            for (int t = 0; t < w->order; t++)
                still += w->rows[t * w->n + i] == i && w->columns[t * w->s + c] == c;
            w->images[c * w->n + i] = w->order / still;
        }
    }
}

/* Anneal the symmetric design (s, n) in place; the temperature falls from hot to cold, shares of
 * what the mean move adds to a design that has been cooled at once. The best one met is left
 * there. Returns 0, or 1 where memory is short. */
int anneal_symmetric(int n, int s, int q, const double *pair, const double *single, int *levels,
                     int order, const int *rows, const int *columns, const int *mirrors,
                     int64_t proposals, double hot, double cold, int distinct, uint64_t seed)
{
    Symmetric w = {n, s, q, order, pair, single, rows, columns, mirrors, levels};
    w.images = malloc(sizeof(int) * n * s);
    w.size = malloc(sizeof(int) * n);
    w.pairs = malloc(sizeof(double) * n * n);
    w.singles = malloc(sizeof(double) * 4 * n);
    int *best = malloc(sizeof(int) * n * s);
    if (!w.images || !w.size || !w.pairs || !w.singles || !best)
        return 1;
    w.new_i = w.singles + n;
    w.new_j = w.new_i + n;
    w.weight = w.new_j + n;
    start(seed);
    count_images(&w);
    double now = whole_value(&w), seen, typical = 0;
    for (int64_t t = 0; t < proposals / 20; t++)
        now += propose(&w, 0, distinct, &seen);
    int64_t counted = 0;
    for (int t = 0; t < 1000; t++) {
        propose(&w, -INFINITY, 0, &seen);
        typical += fabs(seen);
        counted += seen != 0;
    }
    typical = counted ? typical / (double)counted : 0;
    double best_value = now;
    memcpy(best, levels, sizeof(int) * n * s);
    for (int64_t t = 0; t < proposals; t++) {
        double temperature = typical * hot * pow(cold / hot, (double)t / (double)proposals);
        if (t % 65536 == 65535) /* removes the rounding of many updates */
            now = whole_value(&w);
        now += propose(&w, temperature, distinct, &seen);
        if (now < best_value - 1e-12 * n * n) {
            best_value = now;
            memcpy(best, levels, sizeof(int) * n * s);
        }
    }
    memcpy(levels, best, sizeof(int) * n * s);
    free(w.images);
    free(w.size);
    free(w.pairs);
    free(w.singles);
    free(best);
    return 0;
}
