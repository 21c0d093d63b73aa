"""Small data sets and the example scripts, which the wheel brings: structures, samples, a problem, a table of runs."""

from sci.datasets.catalog import DATASETS, Dataset, copy_dataset, dataset_path, load_dataset

__all__ = ["DATASETS", "Dataset", "copy_dataset", "dataset_path", "load_dataset"]
