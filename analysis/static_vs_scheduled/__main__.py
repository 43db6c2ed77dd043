"""Skips that vanish while ResNet34 trains against skips that stay, on MNIST: AR Fig. 3.

The static skip of strength 1/2, the published schedules (the second as printed and as corrected), and as a control no
skip at all; 5 trials of 10 epochs. Runs of one trial begin with the same weights and see the images in the same order,
so schedules are compared with the static skip by the paired differences of the accuracy after the last epoch.

    python -m analysis.static_vs_scheduled --device cuda
    python -m analysis.static_vs_scheduled --trials 1 --workers 2
    python -m analysis.static_vs_scheduled --reduced
    python -m analysis.static_vs_scheduled --quick
    python -m analysis.static_vs_scheduled --reduced --summarise

The first is the paper's, the second a trial of it, five hours of one CPU core; --reduced takes a quarter of one. A
stopped run goes on where it was; --summarise trains nothing and reports on the epochs that are done.
"""

from analysis.shared.main import Study, main
from analysis.shared.skip_runs import ARGUMENTS
from analysis.static_vs_scheduled.config import NAME, configure, quick
from analysis.static_vs_scheduled.evaluate import summary
from analysis.static_vs_scheduled.figures import draw
from analysis.static_vs_scheduled.run import run

_RECIPE = quick("cpu").recipe

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"tiny CNNs on {_RECIPE.n_train} training and {_RECIPE.n_test} test images",
    configure=configure,
    run=run,
    packages=("torch",),
    summary=summary,
    draw=draw,
    reduced="fewer images, a narrower ResNet34: for a CPU",
    arguments={"--trials": {"type": int, "help": "networks of each setting (default: 5, quick 2)"}, **ARGUMENTS},
)

if __name__ == "__main__":
    main(STUDY)
