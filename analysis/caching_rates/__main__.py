"""How often do test images fall into activation regions of training images? LR Table 2 and section 7.1.

Two arms of networks a row, with skips and without, all networks of an arm trained at once; then every network is frozen
and its activation patterns, in float64, tell which test images are cached: those that share the pattern of a training
image. Beside Table 2: its sensitivity to the batch size, which the paper does not state, and the four observations of
section 7.1 as numbers. Fashion-MNIST is an extra, with nothing in print.

    python -m analysis.caching_rates --quick
    python -m analysis.caching_rates
    python -m analysis.caching_rates --summarise

A stopped run goes on with the arm where it was; --summarise reports on what has been trained so far.
"""

from analysis.caching_rates.config import ARGUMENTS, NAME, QUICK_TEXT, configure
from analysis.caching_rates.run import run
from analysis.caching_rates.tables import summary, write
from analysis.shared.main import SUMMARISE, Study, main

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=QUICK_TEXT,
    configure=configure,
    run=run,
    packages=("torch",),
    summary=summary,
    tables=write,
    arguments={**ARGUMENTS, **SUMMARISE},
)

if __name__ == "__main__":
    main(STUDY)
