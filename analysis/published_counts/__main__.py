"""Counts of regions that papers and tables print, and that nobody had checked with an exact program.

Exact counts: the resonance arrangement (OEIS A034997) and the Shi-threshold arrangement (A307650), and CNNs of one
layer beside the formula of Xiong et al. for their maximum.

Networks of a published program: the maxout networks of Tseran and Montufar, drawn from the same seeds.

Statistics: along segments and in planes regions grow with the neurons and hardly with depth, also while training (Hanin
and Rolnick), on MNIST, with skips and without; regions have at most 2 d facets on average (Gaines and Bi).

    python -m analysis.published_counts --quick
    python -m analysis.published_counts
"""

from analysis.published_counts.config import NAME, QUICK, configure
from analysis.published_counts.evaluate import summary
from analysis.published_counts.figures import draw
from analysis.published_counts.run import run
from analysis.published_counts.tables import write
from analysis.shared.main import DATA, THREADS, Study, main

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"small arrangements and networks, {QUICK.maxout_train} training images: seconds",
    configure=configure,
    run=run,
    summary=summary,
    tables=write,
    draw=draw,
    packages=("torch", "numba"),
    arguments={**DATA, **THREADS},
)

if __name__ == "__main__":
    main(STUDY)
