"""Faults of the flow in prepared sets."""

from tests.mutants import Mutant

FLOWS = "tfvideogan/data/flows.py"
CLIPS = "tfvideogan/data/clips.py"
RECORDS = "tfvideogan/data/preparation/records.py"
PREPARING = "tfvideogan/data/preparation/preparing.py"
PREPARED = "tfvideogan/data/sources/prepared.py"
TEST = "tests/data/flows_test.py"
SETS = "tests/data/preparation/prepared_flow_test.py"

MUTANTS = [
    Mutant(FLOWS, "ZERO, STEPS = 128, 127", "ZERO, STEPS = 127, 127", f"{TEST} -k pictures", "zero is another level"),
    Mutant(FLOWS, "np.rint(STEPS", "np.trunc(STEPS", f"{TEST} -k pictures", "levels are cut, not rounded"),
    Mutant(
        FLOWS, "read(tf.maximum(indices - step, 0)), flow)", "read(tf.maximum(indices - step, 0)), 0 * flow)", TEST, "flows add in place"
    ),
    Mutant(FLOWS, "step < there)[:", "step <= there)[:", TEST, "a flow is followed a frame too far"),
    Mutant(FLOWS, "return flow * scale[:, None, None, None]", "return flow", TEST, "at a video's start flows are short"),
    Mutant(CLIPS, "flow[:, :, ::-1] * [-1.0, 1.0]", "flow[:, :, ::-1]", f"{TEST} -k mirrored", "a mirrored flow keeps its sign"),
    Mutant(CLIPS, "* scale[::-1]", "* scale", f"{TEST} -k grows", "x is scaled by the height"),
    Mutant(CLIPS, "antialias=True) * scale[::-1]", "antialias=True)", f"{TEST} -k grows", "a resized flow keeps its pixels"),
    Mutant(
        RECORDS, "format.flow)[len(before) :]", "format.flow)[: len(resized)]", f"{SETS} -k blocks", "flows of a block are a frame late"
    ),
    Mutant(RECORDS, "before = resized[-1:]", "before = resized[:0]", f"{SETS} -k blocks", "a block begins without the frame before"),
    Mutant(
        PREPARED, '(example, "flow", seed, training)', '(example, "flow", seed + 1, training)', f"{SETS} -k start", "flow of another place"
    ),
    Mutant(
        PREPARING,
        "{**dataclasses.asdict(Settings()), **_settings_in(file)}",
        "json.loads(paths.read_text(file))",
        f"{SETS} -k earlier",
        "sets of earlier versions are refused",
    ),
    Mutant(PREPARING, "    if settings.flow:  # is", "    if False:  # is", f"{SETS} -k mistakes", "no estimator rejects every video"),
]
