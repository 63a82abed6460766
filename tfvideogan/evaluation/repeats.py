"""Several evaluations of one generator, by other seeds, as one: the mean, and how far they scatter."""

import numpy as np


def averaged(runs: list[list[dict]]) -> list[dict]:
    """The records of several sets of generated clips as one list.

    Args:
        runs: records of each set, the same metrics in the same order.
    Returns: for more than one set, records with the mean as "value", the standard error of that mean as "stderr" (real clips are
        the same throughout), and the deviation over the sets (ddof 0), which papers print, as "std"; a value that is not finite in
        one set is None. Of one set, its records.
    """
    if len(runs) == 1:
        return runs[0]
    records = []
    for same in zip(*runs, strict=True):
        values = [record["value"] for record in same]
        if None in values:
            found = dict.fromkeys(("value", "stderr", "std"))
        else:
            error = np.std(values, ddof=1) / np.sqrt(len(values))
            found = {"value": float(np.mean(values)), "stderr": float(error), "std": float(np.std(values))}
        records.append({**same[0], **found})
    return records
