"""Do networks with skip connections have more activation regions throughout training? LR Fig. 3, and a control.

Networks of five layers of four learn phi_1 to phi_4 from the same initial weights in three ways: without skips, with
skips 1-3 and 2-4 that add, as in the paper, and with skips that average, which hardly make the signal larger. Their
activation regions on [-10, 10]^2 are counted exactly at epochs that are equally far apart on a logarithmic scale.

    python -m analysis.regions_while_training --quick
    python -m analysis.regions_while_training
"""

from analysis.regions_while_training.config import NAME, QUICK, configure
from analysis.regions_while_training.evaluate import summary
from analysis.regions_while_training.figures import draw
from analysis.regions_while_training.run import run
from analysis.regions_while_training.tables import write
from analysis.shared.main import Study, main, workers

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{QUICK.trials} trials of {QUICK.epochs} epochs: seconds",
    configure=configure,
    run=run,
    summary=summary,
    tables=write,
    draw=draw,
    packages=("numba",),
    arguments=workers(1),
)

if __name__ == "__main__":
    main(STUDY)
