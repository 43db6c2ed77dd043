"""Where do cached and uncached test images lie? LR Fig. 4, drawn anew, and its middle column's claim measured.

One UMAP embedding a data set, of all test images and a random sample of the training images, shared by the three sizes
of network. Blue test images share the activation pattern of a training image, of all of them, in the first network of
the arm without skips of `analysis.caching_rates`, whose results are read, or made where they are missing; where that
study has both ranges of pixels, the networks are those that see pixels in [-1, 1].

    python -m analysis.caching_umap --quick
    python -m analysis.caching_umap

Needs umap-learn, which the extra "analysis" installs.
"""

from analysis.caching_rates.config import ARGUMENTS, QUICK_TEXT
from analysis.caching_umap.config import NAME, Config, configure
from analysis.caching_umap.figures import draw
from analysis.caching_umap.run import run, summary
from analysis.shared.main import Study, main

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=QUICK_TEXT,
    configure=configure,
    run=run,
    packages=("torch", "umap-learn"),
    summary=summary,
    draw=draw,
    arguments={**ARGUMENTS, "--n-train": {"type": int, "default": Config.n_train, "help": "training images to embed"}},
)

if __name__ == "__main__":
    main(STUDY)
