"""Linear CNNs on MNIST and their collapse to one affine map: AR Fig. 1 and section 5.2, and what its 98.7 % is.

A single-layer perceptron, a three-layer linear CNN with a skip, and ResNet34 without activations: with average pooling,
which makes it affine in eval mode, and with its max-pool left in. Both are also evaluated with batch norm in training
mode. The affine ones are collapsed by `tropnet.collapse` and compared with the one affine map: the predictions on all
test images, and their time. Beside them the best affine classifier, a convex problem.

    python -m analysis.linear_collapse --quick
    python -m analysis.linear_collapse --resnet-epochs 2
    python -m analysis.linear_collapse --summarise

A stopped run goes on where it was; --summarise reports on what has been trained so far.
"""

from analysis.linear_collapse.config import NAME, QUICK, Config, Recipe, configure
from analysis.linear_collapse.evaluate import summary
from analysis.linear_collapse.figures import draw
from analysis.linear_collapse.run import run
from analysis.shared.main import DATA, DEVICE, SUMMARISE, THREADS, Study, main

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{QUICK.epochs} epoch of narrow networks on {QUICK.recipe.n_train:,} images",
    configure=configure,
    run=run,
    packages=("torch",),
    summary=summary,
    draw=draw,
    arguments={
        "--epochs": {"type": int, "default": Config.epochs, "help": "of each network"},
        "--resnet-epochs": {"type": int, "help": "of each ResNet34, which take longest (default: --epochs)"},
        "--seed": {"type": int, "default": Recipe.seed, "help": "of weights and order"},
        **DEVICE,
        "--time-on": {"action": "append", "help": "device to time predictions on; may be repeated (default: all)"},
        **THREADS,
        **DATA,
        **SUMMARISE,
    },
)

if __name__ == "__main__":
    main(STUDY)
