"""Certificates: what it costs to make and to check them, in two to six dimensions and for an ACAS Xu network.

TROPNET_MODELS=FOLDER OMP_NUM_THREADS=1 python -m benchmarks.certificates [--quick] [--dry-run]

Seconds of CPU time, enumeration included. The folder holds the ACAS Xu networks and properties (see `published`);
without it that line is left out. `--quick` takes small networks, and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tropnet as tn
from analysis.shared import results
from benchmarks.published import input_box
from benchmarks.report import processor, provenance, replaced


@dataclass(frozen=True)
class Config:
    """Random networks, by their widths, on [-1, 1]^d."""

    seed: int = 0
    widths: tuple[tuple[int, ...], ...] = (
        (2, 96, 96, 96, 1),
        (3, 32, 32, 1),
        (4, 20, 20, 1),
        (5, 15, 15, 1),
        (6, 12, 12, 1),
    )


QUICK = Config(widths=((2, 16, 16, 1), (3, 8, 8, 1)))


def line(name: str, net: tn.Network, domain: tn.Domain, folder: Path) -> dict[str, Any]:
    """Certify and check one network; the regions that are proven must be those that are counted."""
    path, n = folder / "certificate.parquet", tn.count_regions(net, domain)
    begin = time.process_time()
    tn.certify(net, domain, path)
    middle = time.process_time()
    checked = tn.check(net, path, domain)
    end = time.process_time()
    assert checked.n_regions == n
    found = {
        "name": name,
        "n_regions": n,
        "certify_seconds": middle - begin,
        "check_seconds": end - middle,
        "bytes": path.stat().st_size,
    }
    print(table([found]).splitlines()[-1], flush=True)
    return found


def measure(config: Config, models: Path | None) -> list[dict[str, Any]]:
    """Return all lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [
            line("-".join(map(str, widths)), tn.Network.random(list(widths), seed=config.seed), tn.Box(-1, 1), folder)
            for widths in config.widths
        ]
        if models is not None:
            net = tn.from_onnx(next(models.rglob("ACASXU_*_1_1_*.onnx")))
            box = input_box(next(models.rglob("prop_3.vnnlib")).read_text())
            found.append(line("ACAS Xu 1_1 on property 3", net, box, folder))
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Return the lines as a table."""
    rows = [
        "| network | regions | certify, s | check, s | certify, ms a region | check, ms a region | bytes a region |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in found:
        n = each["n_regions"]
        rows.append(
            f"| {each['name']} | {n:,} | {each['certify_seconds']:.3g} | {each['check_seconds']:.3g} |"
            f" {1000 * each['certify_seconds'] / n:.2g} | {1000 * each['check_seconds'] / n:.2g} |"
            f" {each['bytes'] / n:,.0f} |"
        )
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the results file and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small networks; writes nothing")
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args(arguments)
    config = QUICK if options.quick else Config()
    models = os.environ.get("TROPNET_MODELS")
    found = measure(config, None if options.quick or not models else Path(models))
    text = table(found)
    print(text)
    if not options.dry_run and not options.quick:
        record = provenance(processor(), "python -m benchmarks.certificates", config)
        results.write_json(results.RESULTS / "certificates.json", record | {"lines": found})
        readme = results.RESULTS / "README.md"
        readme.write_text(replaced(readme.read_text(), "certificates", text))


if __name__ == "__main__":
    main()
