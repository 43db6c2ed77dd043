"""Do flips to the nearest region with training data tell what is out of distribution? LR section 7.1, observation (b).

Networks trained as in section 7.1 on MNIST, with and without skips; Fashion-MNIST is what they should find strange, and
the reverse. Scores: flips (facets on a shortest path of regions) to the nearest region that holds a training image, the
Hamming distance to the nearest pattern of a training image, and 1 - max softmax. Beside them two moons in the plane.

All on a box around all images, in the directions that the network reads. Networks of 8 neurons per layer are enumerated
there, so their flips are exact; larger ones are searched, in general position (see `tropnet.FlipDistance`), and a few
points again without that assumption.

    python -m analysis.out_of_distribution --quick
    python -m analysis.out_of_distribution
"""

from analysis.out_of_distribution.config import NAME, QUICK, Config, configure
from analysis.out_of_distribution.evaluate import summary
from analysis.out_of_distribution.figures import draw
from analysis.out_of_distribution.run import run
from analysis.shared.main import DATA, THREADS, Study, main

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{QUICK.seeds} network of each kind, trained on {QUICK.recipe.n_train} images",
    configure=configure,
    run=run,
    packages=("torch",),
    summary=summary,
    draw=draw,
    arguments={
        "--seeds": {"type": int, "default": Config.seeds, "help": "networks of each kind"},
        "--reverse-seeds": {
            "type": int,
            "default": Config.reverse_seeds,
            "help": "networks of each kind that are trained on Fashion-MNIST",
        },
        "--moon-seeds": {"type": int, "default": Config.moon_seeds, "help": "networks of each kind on the moons"},
        **THREADS,
        **DATA,
    },
)

if __name__ == "__main__":
    main(STUDY)
