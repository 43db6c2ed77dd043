"""The counts of the compiled engines, where other programs lose cells: compared with each other and with lp.

Random networks 4-16-16, 6-20 and 8-10-10 on all of R^d, default PyTorch initialisation. The compiled engines must find
the same set of patterns, each with a witness that is checked over the integers; so must the lp engine, which proves
every decision over the integers, for as many networks as time allows (it needs minutes for each). For the one-layer
networks Zaslavsky's formula gives the count of hyperplanes in general position.

    python -m analysis.stable_counts --quick
    python -m analysis.stable_counts
"""

from analysis.shared.main import Study, main, workers
from analysis.stable_counts.config import NAME, QUICK, Config, configure
from analysis.stable_counts.run import run, summary

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{QUICK.networks} small networks of each architecture: seconds instead of an hour",
    configure=configure,
    run=run,
    summary=summary,
    arguments={"--networks": {"type": int, "default": Config.networks, "help": "per architecture"}, **workers(2)},
)

if __name__ == "__main__":
    main(STUDY)
