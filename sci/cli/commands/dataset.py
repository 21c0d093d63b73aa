"""`sci dataset [NAME] [-o FILE]`: list the data sets that the package brings, print the path of one, or copy it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from sci.cli.outcome import print_json, print_table, require_writable
from sci.cli.sharing import on_first_alone
from sci.datasets import DATASETS, copy_dataset, dataset_path

__all__ = ["run"]


@on_first_alone
def run(arguments: argparse.Namespace) -> None:
    """List, find or copy."""
    a = arguments
    if a.name is None:
        if a.json:
            print_json({name: asdict(found) for name, found in DATASETS.items()})
        else:
            width = max(len(found.file) for found in DATASETS.values()) + 2
            print_table([(name, f"{found.file:<{width}}{found.what}") for name, found in DATASETS.items()])
        return
    path = dataset_path(a.name)
    if a.output is not None:
        if not path.is_dir():
            require_writable([a.output], [path], overwrite=a.overwrite)
        path = copy_dataset(a.name, a.output, overwrite=a.overwrite)
    if a.json:
        print_json({"name": a.name, "path": str(path)})
    else:
        print(path)
