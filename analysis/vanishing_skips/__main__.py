"""Both papers together: skips that vanish while a network trains, and how many linear regions it has then.

Networks of one size learn phi_1(x, y) = sin(log|x| + log|y|) from the same initial weights in three ways: with skips
whose strength t goes from 1/2 to 0 in the first half of the epochs, with skips of t = 1/2 throughout, and without.
Their activation regions on the square are counted exactly along the way, and afterwards while t goes to 0 with the
weights held. Those whose skips vanished lose them (`remove_skips`) and are compiled into search trees.

    python -m analysis.vanishing_skips --quick
    python -m analysis.vanishing_skips
"""

from analysis.shared.main import Study, main, workers
from analysis.vanishing_skips.config import NAME, QUICK, configure
from analysis.vanishing_skips.evaluate import table
from analysis.vanishing_skips.figures import draw
from analysis.vanishing_skips.run import run

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{QUICK.trials} trials of {QUICK.epochs} epochs: a minute",
    configure=configure,
    run=run,
    packages=("torch",),
    summary=table,
    draw=draw,
    arguments=workers(1),
)

if __name__ == "__main__":
    main(STUDY)
