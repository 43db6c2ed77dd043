"""A Dask cluster of two processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
from distributed import Client, LocalCluster


@contextmanager
def two_workers(folder: Path) -> Iterator[Client]:
    """Start two workers, processes of their own, that keep what they write in a folder."""
    with (
        dask.config.set({"temporary-directory": str(folder)}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(folder),
            silence_logs=50,
        ) as machines,
        Client(machines) as client,
    ):
        yield client
