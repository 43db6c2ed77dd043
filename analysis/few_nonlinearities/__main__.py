"""Few nonlinearities, AR section 6: ReLU neurons of a small CNN that turn affine while it trains, and are folded away.

The slope of chosen neurons for negative values goes from 0 to 1 in stages, until half, a quarter, ..., none of the
neurons is nonlinear. Those go first that are least ambiguous on the training images, or whose negative part is smallest
there, or those of the first layer, or random ones; with distillation from the full network or by the labels alone;
gradually or at once. Beside them the full network trained on for as long, networks trained from scratch with the same
nonlinear neurons, and the best affine classifier. What is left is folded by `Network.without_affine_neurons`: accuracy,
regions around the test images, prediction time.

    python -m analysis.few_nonlinearities --quick
    python -m analysis.few_nonlinearities

A stopped run goes on where it was.
"""

from analysis.few_nonlinearities.config import NAME, QUICK, Config, configure
from analysis.few_nonlinearities.evaluate import summary
from analysis.few_nonlinearities.figures import draw
from analysis.few_nonlinearities.run import run
from analysis.shared.main import DATA, THREADS, Study, main

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{len(QUICK.recipe.shares)} stages of a narrow network on {QUICK.recipe.n_train:,} images",
    configure=configure,
    run=run,
    packages=("torch",),
    summary=summary,
    draw=draw,
    arguments={
        "--seeds": {"type": int, "nargs": "+", "default": list(Config.seeds), "help": "one full network each"},
        "--scratch-seeds": {
            "type": int,
            "nargs": "*",
            "default": list(Config.scratch_seeds),
            "help": "those of them with networks from scratch, too",
        },
        "--train-images": {"type": int, "default": Config.recipe.n_train, "help": "the first so many of 60,000"},
        **THREADS,
        **DATA,
    },
)

if __name__ == "__main__":
    main(STUDY)
