"""What taking the skips out of a network saves in time and memory when it predicts: AR section 5.3.

ResNet34 and the 6-layer CNN with skips between all layers that do not follow each other, batches of 64 MNIST images,
each in several forms: the plain ``out + x`` (the baseline), a weighted skip of strength 0 left in the program, the
skips removed, and the plain skips carried through wider layers, which is the same function as the baseline. Eager and
by torch.compile, on the CPU and on a GPU if there is one; forms take turns, and ratios are taken inside a turn.
A run measures all anew, unless --go-on says that it goes on with one that was stopped.

    python -m analysis.skip_removal_speed
    python -m analysis.skip_removal_speed --rounds 101 --batches 8
    python -m analysis.skip_removal_speed --quick
"""

from analysis.shared.main import DATA, THREADS, Study, main
from analysis.skip_removal_speed.config import NAME, QUICK, Config, configure
from analysis.skip_removal_speed.figures import draw
from analysis.skip_removal_speed.run import run, summary

STUDY = Study(
    name=NAME,
    about=__doc__,
    quick=f"narrow networks, {QUICK.rounds} rounds of {QUICK.batch} images, without torch.compile",
    configure=configure,
    run=run,
    packages=("torch",),
    summary=summary,
    draw=draw,
    arguments={
        "--rounds": {"type": int, "default": Config.rounds, "help": "turns of each form"},
        "--batches": {"type": int, "default": Config.batches, "help": f"of {Config.batch} images in a turn"},
        "--mode": {
            "action": "append",
            "choices": ("eager", "compiled"),
            "help": "may be repeated (default: both; with --quick eager)",
        },
        "--go-on": {"action": "store_true", "help": "measure only what an earlier run of this size has not"},
        "--device": {"action": "append", "help": "cpu, cuda; may be repeated (default: all there are)"},
        **THREADS,
        **DATA,
    },
)

if __name__ == "__main__":
    main(STUDY)
