"""ACAS Xu: all 186 usual instances decided exactly, their regions counted, beside published verdicts.

45 networks of 5 inputs and 6 layers of 50 neurons, and the properties 1 to 10 of Katz et al. (2017), as in the
verification competitions: properties 1 to 4 on all networks, 5 to 10 on one each. Every verdict is over the rationals,
with an exact counterexample where there is one; it is compared with what programs said in VNN-COMP 2021 and 2022, who
contradict each other on some. Regions on each box are counted, on the whole domain of each network estimated.

The files are those of github.com/stanleybak/vnncomp2021 (benchmarks/acasxu), each checked against its digest. Put the
45 networks and the 10 properties into a folder acasxu/ and name the folder above it by TROPNET_DATA or --data; without
that they are fetched, once. Where TROPNET_NNENUM names a Python that has nnenum, the instances are also given to that
program, as a process of its own.

    python -m analysis.acas_xu --quick
    python -m analysis.acas_xu --workers 2
"""

from analysis.acas_xu.config import NAME, QUICK, configure
from analysis.acas_xu.run import run
from analysis.acas_xu.tables import summary, write
from analysis.shared.main import DATA, Study, main, workers

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"{len(QUICK.instances)} instances of small random networks, no files needed: seconds",
    configure=configure,
    run=run,
    summary=summary,
    tables=write,
    packages=("onnx", "onnxruntime"),
    arguments={**DATA, **workers(2)},
)

if __name__ == "__main__":
    main(STUDY)
