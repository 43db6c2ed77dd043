r"""How the strength of skips decides what a network learns in its first two epochs on MNIST: AR Fig. 2.

ResNet34, and the variants whose curves the paper only describes: ResNet18 and shallow CNNs. One network for each
strength t and trial, the skips static; the accuracy on the test images after each epoch, beside the published points.

    python -m analysis.skip_strength_sweep --device cuda
    python -m analysis.skip_strength_sweep --trials 1 \
        --architectures resnet34 --strengths 0 0.5 0.85 1
    python -m analysis.skip_strength_sweep --reduced
    python -m analysis.skip_strength_sweep --quick
    python -m analysis.skip_strength_sweep --reduced --summarise

The first is the paper's, the second a part of it, an hour of a CPU core; --reduced takes a quarter of one. A stopped
run goes on where it was; --summarise trains nothing and reports on the networks that are done.
"""

from analysis.shared.main import Study, main
from analysis.shared.skip_runs import ARGUMENTS
from analysis.skip_strength_sweep.config import NAME, PUBLISHED, configure, quick
from analysis.skip_strength_sweep.evaluate import summary
from analysis.skip_strength_sweep.figures import draw
from analysis.skip_strength_sweep.run import run

_RECIPE = quick("cpu").plans[0].recipe

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"tiny networks on {_RECIPE.n_train} training and {_RECIPE.n_test} test images",
    configure=configure,
    run=run,
    packages=("torch",),
    summary=summary,
    draw=draw,
    reduced="fewer images, strengths and trials, narrower ResNets: for a CPU",
    arguments={
        "--architectures": {
            "nargs": "+",
            "choices": tuple(PUBLISHED),
            "metavar": "NAME",
            "help": f"of {', '.join(PUBLISHED)} (default: all)",
        },
        "--strengths": {"nargs": "+", "type": float, "metavar": "T", "help": "of skips (default: the profile's)"},
        "--trials": {"type": int, "help": "networks of each strength (default: 5, reduced 2, quick 1)"},
        **ARGUMENTS,
    },
)

if __name__ == "__main__":
    main(STUDY)
