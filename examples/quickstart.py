"""All activation regions of the shipped network with skips, as a count, a table and a region map (PNG)."""

from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

import tropnet as tn

PICTURE = Path("phi_1_regions.png")


def main() -> None:
    """Enumerate the regions of the network that ships with tropnet, on [-10, 10]^2."""
    net = tn.example_network()
    box = tn.Box(-10, 10)
    print(f"{net}, trained on sin(log|x| + log|y|) by examples/train_phi_1.py")

    regions = tn.enumerate_regions(net, box, progress=True)
    print(f"{len(regions)} activation regions in [-10, 10]^2, complete: {regions.complete}\n")

    areas = [region.volume() for region in regions]
    table = Table("activation pattern", "area", "sides", "affine map", title="The ten largest regions")
    for index in sorted(range(len(regions)), key=lambda i: -areas[i])[:10]:
        region = regions[index]
        (a, b), c = region.affine.weight[0], region.affine.bias[0]
        pattern = "|".join("".join("01"[int(bit)] for bit in layer) for layer in net.split_pattern(region.pattern))
        table.add_row(pattern, f"{areas[index]:.3f}", str(len(region.facets())), f"{a:+.3f} x {b:+.3f} y {c:+.3f}")
    Console(width=100).print(table)
    print(f"The areas of all regions sum to {sum(areas):.9f}; the box has 400.")

    figure = Figure(figsize=(11, 5), layout="constrained")
    whole, centre = figure.subplots(1, 2)
    tn.plot_regions(regions, whole)
    tn.plot_regions(regions, centre).set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), title="the centre, enlarged")
    figure.savefig(PICTURE, dpi=130)
    print(f"Region map: {PICTURE.resolve()}")


if __name__ == "__main__":
    main()
