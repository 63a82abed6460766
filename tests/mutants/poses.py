"""Faults of poses: their figures, their fitting, their estimation and the sets that hold them."""

from tests.mutants import Mutant

POSES, FIGURE, FITTING = "tfvideogan/data/poses.py", "tfvideogan/data/stick_figure.py", "tfvideogan/data/pose_normalization.py"
ESTIMATION, DANCER = "tfvideogan/data/pose_estimation.py", "tfvideogan/data/sources/moving_shapes_dancer.py"
WRITTEN, READ = "tfvideogan/data/preparation/figures.py", "tfvideogan/data/sources/prepared.py"
OF_POSES, OF_FIGURE, OF_FITTING = "tests/data/poses_test.py", "tests/data/stick_figure_test.py", "tests/data/pose_normalization_test.py"
OF_DANCER, OF_SETS = "tests/data/sources/moving_shapes_dancer_test.py", "tests/data/preparation/poses_test.py"

MUTANTS = [
    Mutant(POSES, "np.median(near[..., 2:], axis=0) > 0", "np.median(near[..., 2:], axis=0) >= 0", OF_POSES, "a point of one frame stays"),
    Mutant(POSES, "best = max(people", "best = min(people", OF_POSES, "the person seen least"),
    Mutant(FIGURE, "for hand in (right, left)", "for hand in (right,)", OF_FIGURE, "one hand"),
    Mutant(FIGURE, ".mean() >= FACE_CONFIDENCE", ".mean() >= 0", OF_FIGURE, "faces that are guessed"),
    Mutant(FIGURE, "LAID_ON = 8, 4, 0.6", "LAID_ON = 8, 4, 0.5", OF_FIGURE, "paler limbs"),
    Mutant(FIGURE, "unit * FINGER, HAND_COLORS[b]", "unit * FINGER, HAND_COLORS[a]", OF_FIGURE, "fingers of the color of their roots"),
    Mutant(FITTING, "y * (1 - scale) + shift", "y * (1 - scale)", OF_FITTING, "not moved to the target's floor"),
    Mutant(FITTING, "x * (1 - scale)", "0 * scale", OF_FITTING, "scaled about the left border"),
    Mutant(FITTING, "ABOVE_MEDIAN = 0.5", "ABOVE_MEDIAN = 0.3", OF_FITTING, "the farthest row nearer"),
    Mutant(FITTING, "(close - far) / 2", "(close - far)", OF_FITTING, "a smaller floor made larger"),
    Mutant(FITTING, "ears.mean(1)", "ears[:, 0]", OF_FITTING, "the head at one ear"),
    Mutant(FITTING, "seen[:, layout.ankles].all(1)", "seen[:, layout.ankles].any(1)", OF_FITTING, "one ankle is enough"),
    Mutant(ESTIMATION, "corner = middle - (right + down)", "corner = middle - (right - down)", f"{OF_SETS} -k turned", "another square"),
    Mutant(ESTIMATION, "self.around = found[33:35, :2]", "self.around = None", f"{OF_SETS} -k turned", "nobody is followed"),
    Mutant(ESTIMATION, "inside & (body[:, 2] >= SURE)", "inside", f"{OF_SETS} -k unsure", "joints that are guessed"),
    Mutant(ESTIMATION, "(dx, -dy, x, dy, dx, y)", "(dx, dy, x, -dy, dx, y)", f"{OF_SETS} -k turned", "turned the other way"),
    Mutant(WRITTEN, "-((whole_width - width) // 2)", "0", f"{OF_SETS} -k cropped", "figures are not cropped with their frames"),
    Mutant(WRITTEN, "points = poses.smooth(points)", "points = 1 * points", f"{OF_SETS} -k record", "not smoothed"),
    Mutant(READ, 'example["face"][:, 0]}', 'example["face"]}', f"{OF_SETS} -k faces", "twice as many frames"),
    Mutant(
        "tfvideogan/data/clips.py",
        " - (after - tf.constant(config.frame_size)) // 2",
        "",
        f"{OF_SETS} -k 'faces or places'",
        "faces are not moved with the crop",
    ),
    Mutant(DANCER, "[:, NOSE, 1::-1]", "[:, NOSE, :2]", OF_DANCER, "column and row of a face"),
    Mutant(DANCER, "(places - 0.5) * height", "(places - 0.45) * height", OF_DANCER, "the figure beside the body"),
]
