"""Do skip connections make more activation regions? LR Table 1 and sections 6.2-6.3, and what they leave open.

Four parts: the six rows of Table 1 reproduced; their sensitivity to initialisation, domain and input dimension; a
control that separates the skip from the signal it adds; and section 6.3's explanation measured, the fraction of
existing cells that each neuron's hyperplane cuts.

    python -m analysis.skip_vs_regions --quick
    python -m analysis.skip_vs_regions --networks 2000
"""

from analysis.shared.main import Study, main, workers
from analysis.skip_vs_regions.config import NAME, QUICK, Config, configure
from analysis.skip_vs_regions.evaluate import summary
from analysis.skip_vs_regions.figures import draw
from analysis.skip_vs_regions.run import run

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{QUICK.networks} networks an arm: seconds instead of minutes",
    configure=configure,
    run=run,
    summary=summary,
    draw=draw,
    arguments={
        "--networks": {"type": int, "default": Config.networks, "help": "per arm"},
        "--sensitivity-networks": {
            "type": int,
            "default": Config.sensitivity_networks,
            "help": "per arm in each cell of the sensitivity study",
        },
        "--seed": {"type": int, "default": Config.seed, "help": "root of all seeds"},
        **workers(2),
    },
)

if __name__ == "__main__":
    main(STUDY)
