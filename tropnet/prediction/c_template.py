"""The text of a predictor in C: `str.format` fills the comment at its head, `string.Template` the rest."""

from __future__ import annotations

__all__ = ["ABOUT", "FUNCTIONS", "HEAD"]

ABOUT = """\
{network} on {domain}, as a search tree over its {size.n_regions} activation regions.
Network {network.fingerprint}.

int {name}_predict(const double *x, double *y) writes the {network.n_outputs} output(s) at x, of {network.n_inputs} \
input(s), into y, which must not overlap x, and returns
  0 to {NAME}_MAPS - 1: the number of the affine map that gave them;
  {NAME}_MAPS: x lies {near}, a forward pass gave them;
  -1: {nowhere}; y is NaN;
  -2: the network overflows float64; y is NaN.
const double *{name}_map(int number) returns the coefficients of a map, for each output those of the inputs and the \
constant, and NULL for other numbers.

Each comparison carries a bound on all rounding errors, so no point gets the map of another region. An output is off \
by at most {n_terms} * 2^-52 * S, S being the same output with absolute values of weights, biases, slopes and inputs, \
unless results are so small that they underflow.

No library, no allocation; {n_bytes:,} bytes of constant tables, {n_stack:,} bytes of stack in a forward pass. Any \
number of threads may call it. Declarations alone, for other files:
  #define {NAME}_DECLARATIONS
  #include "{file}"
A program that reads points from its input: cc -std=c99 -O2 -D{NAME}_MAIN {file}"""

HEAD = """\
$about
#ifndef ${NAME}_INPUTS
#define ${NAME}_INPUTS $inputs
#define ${NAME}_OUTPUTS $outputs
#define ${NAME}_MAPS $maps
#ifdef __cplusplus
extern "C" {
#endif
int ${name}_predict(const double *x, double *y);
const double *${name}_map(int number);
#ifdef __cplusplus
}
#endif
#endif

#ifndef ${NAME}_DECLARATIONS
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#if FLT_RADIX != 2 || DBL_MANT_DIG != 53 || INT_MAX < 2147483647
#error "double must be IEEE 754 binary64, and int have 32 bits"
#endif
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST)
#error "the bounds on rounding need floating point as it is: no -ffast-math"
#endif

/* a x + c, and a bound on its error, to be multiplied by 1 + max |x| / unit */
struct ${name}_row { double a[$inputs], c, bound; };
/* on which side of a row: below[0] for a x + c <= 0, below[1] for > 0; ~i is map i */
struct ${name}_node { int row, below[2]; };
/* equal boxes, the last coordinate counting fastest; each has a root of its own */
struct ${name}_grid { double low[$inputs], steps[$inputs]; int shape[$inputs]; };
/* a x <= b */
struct ${name}_side { double a[$inputs], b; };
/* its terms go on to `end`; slopes[0] for z <= 0, slopes[1] for z > 0 */
struct ${name}_neuron { double bias, slopes[2]; int end; };
/* weight times value `source`: inputs first, then neurons, the outputs last */
struct ${name}_term { double weight; int source; };
"""

FUNCTIONS = """
enum { ${name}_INSIDE, ${name}_NEAR, ${name}_OUTSIDE };

/* Whether x lies in the domain, as surely as rounding allows; NaN and infinities do not. */
static int ${name}_side_of(const double *x)
{
    int i, j, state = ${name}_INSIDE;
    for (j = 0; j < $inputs; j++)
        if (!(${name}_box[j][0] <= x[j] && x[j] <= ${name}_box[j][1]))
            return ${name}_OUTSIDE;
    for (i = 0; i < $n_sides; i++) {
        const struct ${name}_side *side = &${name}_sides[i];
        double z = -side->b, size = fabs(z), bound;
        for (j = 0; j < $inputs; j++) {
            z += side->a[j] * x[j];
            size += fabs(side->a[j] * x[j]);
        }
        bound = ($inputs + 3) * DBL_EPSILON * size + DBL_MIN;
        if (z > bound)
            return ${name}_OUTSIDE;
        if (!(z < -bound))
            state = ${name}_NEAR;
    }
    return state;
}

/* The root for x: that of its box in the first grid that holds it, or the last one beyond all. */
static int ${name}_start(const double *x)
{
    int g, j, first = 0;
    for (g = 0; g < $n_grids; g++) {
        const struct ${name}_grid *grid = &${name}_grids[g];
        int cell = 0, n_cells = 1, inside = 1;
        for (j = 0; j < $inputs; j++) {
            double place = (x[j] - grid->low[j]) * grid->steps[j];
            int size = grid->shape[j], at = 0;
            if (0.0 <= place && place <= size)
                at = place < size ? (int)place : size - 1;
            else
                inside = 0;
            cell = cell * size + at;
            n_cells *= size;
        }
        if (inside)
            return ${name}_roots[first + cell];
        first += n_cells;
    }
    return ${name}_roots[$n_roots - 1];
}

static int ${name}_finite(const double *values, int n)
{
    int i;
    for (i = 0; i < n; i++)
        if (!(fabs(values[i]) <= DBL_MAX))
            return 0;
    return 1;
}

static int ${name}_without(int code, double *y)
{
    int k;
    for (k = 0; k < $outputs; k++)
        y[k] = NAN;
    return code;
}

/* The network itself. */
static int ${name}_forward(const double *x, double *y)
{
    double values[$inputs + $n_neurons];
    int i, t = 0;
    for (i = 0; i < $inputs; i++)
        values[i] = x[i];
    for (i = 0; i < $n_neurons; i++) {
        const struct ${name}_neuron *neuron = &${name}_neurons[i];
        double z = neuron->bias;
        for (; t < neuron->end; t++)
            z += ${name}_terms[t].weight * values[${name}_terms[t].source];
        values[$inputs + i] = neuron->slopes[z > 0.0] * z;
    }
    for (i = 0; i < $outputs; i++)
        y[i] = values[$inputs + $n_neurons - $outputs + i];
    return ${name}_finite(y, $outputs) ? ${NAME}_MAPS : ${name}_without(-2, y);
}

int ${name}_predict(const double *x, double *y)
{
    int j, k, node, state = ${name}_side_of(x);
    double largest = 0.0, scale;
    if (state == ${name}_OUTSIDE)
        return $beyond;
    if (state == ${name}_NEAR)
        return ${name}_forward(x, y);
    for (j = 0; j < $inputs; j++)
        largest = fabs(x[j]) > largest ? fabs(x[j]) : largest;
    scale = 1.0 + largest / $unit;
    node = ${name}_start(x);
    while (node >= 0) {
        const struct ${name}_row *row = &${name}_rows[${name}_nodes[node].row];
        double z = row->c;
        for (j = 0; j < $inputs; j++)
            z += row->a[j] * x[j];
        if (!(fabs(z) > row->bound * scale))
            return ${name}_forward(x, y);
        node = ${name}_nodes[node].below[z > 0.0];
    }
    for (k = 0; k < $outputs; k++) {
        const double *map = ${name}_maps[~node][k];
        y[k] = map[$inputs];
        for (j = 0; j < $inputs; j++)
            y[k] += map[j] * x[j];
    }
    /* The product of a map may overflow where the network does not. */
    return ${name}_finite(y, $outputs) ? ~node : ${name}_forward(x, y);
}

const double *${name}_map(int number)
{
    return 0 <= number && number < ${NAME}_MAPS ? &${name}_maps[number][0][0] : NULL;
}

#ifdef ${NAME}_MAIN
#include <stdio.h>
/* Reads points, their coordinates apart by spaces, commas or lines, and prints a line of outputs for each. */
int main(void)
{
    double x[$inputs], y[$outputs];
    int j = 0, k;
    while (scanf("%lf%*[ ,;\\t\\r\\n]", &x[j]) == 1) {
        j = (j + 1) % $inputs;
        if (j == 0) {
            (void)${name}_predict(x, y);
            for (k = 0; k < $outputs; k++)
                printf(k + 1 < $outputs ? "%.17g," : "%.17g\\n", y[k]);
        }
    }
    if (j == 0 && feof(stdin))
        return 0;
    fprintf(stderr, "points must be numbers, $inputs for each\\n");
    return 1;
}
#endif
#endif
"""
