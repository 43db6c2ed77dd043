"""Do the regions of trained networks follow the pattern of what they learn? LR Fig. 2 and section 5, in numbers.

Networks of two and of five layers of five learn phi_1 to phi_4 on [-10, 10]^2. What the paper reads off their maps is
measured, before and after training: whether boundaries are dense where the function bends, whether maps are symmetric
and repeat themselves, and how large regions are at which distance from the centre.

    python -m analysis.region_maps --quick
    python -m analysis.region_maps
"""

from analysis.region_maps.config import NAME, QUICK, configure
from analysis.region_maps.evaluate import summary
from analysis.region_maps.figures import draw
from analysis.region_maps.run import run
from analysis.region_maps.tables import write
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
    packages=("numba", "matplotlib"),
    arguments=workers(1),
)

if __name__ == "__main__":
    main(STUDY)
