"""Faults of vid2vid, and of the labels that it learns from."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/vid2vid.py"
COMPOSER, SPACED = "tfvideogan/layers/composer.py", "tfvideogan/layers/spaced_frames.py"
MAPS = "tfvideogan/layers/label_maps.py"
TEST = "tests/models/vid2vid_test.py"
TABLES = f"{TEST} -k computes_the_tables"
BLOCKS = f"{TEST} -k blocks_of_a_finer_scale"
LOSSES = f"{TEST} -k losses_are_those"
CHUNKS = f"{TEST} -k two_chunks"
SHAPES = "tfvideogan/data/sources/moving_shapes.py"
SHAPES_TEST = "tests/data/sources/moving_shapes_test.py -k labels_say"

STEP, SAMPLER, FILMS = "tfvideogan/training/step.py", "tfvideogan/generation/sampler.py", "tfvideogan/generation/films.py"
FACE_MAPS, FACES = "tfvideogan/data/face_maps.py", "tfvideogan/data/sources/faces.py"
GROWING, PICTURES = f"{TEST} -k 'double or shorter'", f"{TEST} -k 'first_frames or image_phase'"
OF_STEP, OF_FILMS = "tests/training/contract_test.py -k grow", "tests/generation/films_test.py -k streams"
OF_FACE_MAPS, OF_FACES = "tests/data/face_maps_test.py", "tests/data/sources/faces_test.py"

MUTANTS = [
    Mutant(
        COMPOSER,
        "painted * of_painted + warp(past[:, -1], flow)",
        "warp(past[:, -1], flow) * of_painted + painted",
        TABLES,
        "the mask is the other way round",
    ),
    Mutant(COMPOSER, "warp(past[:, -1], flow)", "warp(past[:, 0], flow)", TABLES, "the frame before last is warped"),
    Mutant(FILE, "flow_unit=FLOW_UNIT * 2**scale", "flow_unit=FLOW_UNIT", TABLES, "finer flows are not longer"),
    Mutant(COMPOSER, "before, after = (0, blocks)", "before, after = (blocks, 0)", BLOCKS, "blocks before the sum"),
    Mutant(COMPOSER, 'self.motion(joined("motion"))', 'self.motion(joined("image"))', TABLES, "the flow reads the image's coarse features"),
    Mutant(COMPOSER, "copies(alone + (1.0 - alone) * mask, 3)", "copies(1.0 * mask, 3)", TABLES, "the first frame is warped from nothing"),
    Mutant(COMPOSER, "self.labels_now = past * maps", "self.labels_now = 0", TABLES, "the foreground of two frames ago"),
    Mutant(MAPS, "down[:, :, 1:] | down[:, :, :-1] | right", "down[:, :, 1:] | right", TABLES, "edges on one side alone"),
    Mutant(FILE, "maps[:, t : t + PAST + 1], axis=1", "maps[:, t : t + PAST + 1][:, ::-1], axis=1", TABLES, "sources newest first"),
    Mutant(FILE, "first = tf.zeros_like(first)", "first = 1.0 * first", TABLES, "every frame of a first chunk is painted only"),
    Mutant(
        FILE,
        "past[scale][:, 1:], frame.final[:, None]",
        "past[scale][:, 1:], frame.painted[:, None]",
        TABLES,
        "painted frames are remembered",
    ),
    Mutant(
        FILE,
        '{"source": PAST, "instances": PAST,',
        '{"source": PAST, "instances": 1,',
        CHUNKS,
        "instances of another frame",
    ),  # fmt: skip
    Mutant(
        FILE,
        "past = [tf.stop_gradient(pictures) for pictures in past]",
        "past = [*past]",
        f"{TEST} -k detached",
        "past frames are not detached",
    ),
    Mutant(FILE, "< DOUBT", "< 1.5 * DOUBT", LOSSES, "trusts too much"),
    Mutant(
        FILE,
        "return near * (1.0 - nothing_before)",
        "return near * (1.0 - 0.0 * nothing_before)",
        LOSSES,
        "a flow from before the first frame",
    ),
    Mutant(
        FILE,
        "flow_weight / 2 ** (config.scales - 1)",
        "flow_weight / 2 ** config.scales",
        LOSSES,
        "the flow's weight is halved once too often",
    ),
    Mutant(FILE, "warp(before, flow) * trusted, real", "warp(before, reference) * trusted, real", LOSSES, "the reference is judged"),
    Mutant(
        FILE,
        'tf.concat([chunk[f"past{config.scales - 1}"][:, -1:], frames.final[:, :-1]], 1)',
        'chunk["video"][:, :-1]',
        LOSSES,
        "the real frame before is warped",
    ),
    Mutant(FILE, "tf.reduce_mean(mask * trusted)", "tf.reduce_mean((1.0 - mask) * trusted)", LOSSES, "the mask is to be 1"),
    Mutant(FILE, "0.5 * len(fakes) * distance_from", "0.5 * distance_from", LOSSES, "the real frame counts once beside two"),
    Mutant(
        FILE,
        '[with_source(frames.painted)] if config.phase != "image" else []',
        "[]",
        LOSSES,
        "painted frames are not judged",
    ),
    Mutant(SPACED, "found + warp(flows[:, before], found)", "found + flows[:, before]", LOSSES, "flows are added where they do not lie"),
    Mutant(SPACED, "flow_over(flows, place, spacing) / unit", "flow_over(flows, place, spacing)", LOSSES, "flows in pixels"),
    Mutant(FILE, "self.config.feature_weight * matched", "matched", LOSSES, "no weight of feature matching"),
    Mutant(FILE, "float(len(back)) * one / count", "one", LOSSES, "the mean is over clips that there are not"),
    Mutant(
        FILE,
        '"seen": tf.minimum(chunk["seen"] + float(self.config.learned_frames), float(self.config.memory))',
        '"seen": chunk["seen"]',
        LOSSES,
        "nothing is ever remembered",
    ),
    Mutant(FILE, "[next(faces)], factor=2.0)", "[next(faces)])", f"{TEST} -k faces", "faces have half their weight"),
    Mutant(
        FILE,
        'scale.trainable = config.phase == "joint"',
        "scale.trainable = True",
        f"{TEST} -k finest_phase",
        "coarse scales are not frozen",
    ),
    Mutant(
        SHAPES, "np.where(outside < 0, 1 + SHAPES", "np.where(outside < 0.05, 1 + SHAPES", SHAPES_TEST, "labels are larger than the shape"
    ),
    Mutant(SHAPES, "_grid(size)[window[1]] - x[t]", "_grid(size)[window[1]]", SHAPES_TEST, "stripes stay where they are"),
    Mutant(FILE, "float(config.frames - length + 1)", "float(config.frames - length)", GROWING, "a sequence never ends with the clip"),
    Mutant(FILE, "grow_from_frames * 2**doublings", "grow_from_frames * (1 + doublings)", GROWING, "sequences grow evenly"),
    Mutant(FILE, "// config.learned_frames, self.chunks)", "// config.learned_frames, 10**9)", GROWING, "sequences longer than the clip"),
    Mutant(FILE, "if name in OF_FRAMES}", 'if name in ("video", "source")}', GROWING, "flows of other frames"),
    Mutant(FILE, 'noise.fork(batch["seed"], SEQUENCE)', 'noise.fork(batch["seed"][:1], SEQUENCE)', GROWING, "all clips begin alike"),
    Mutant(STEP, "gan.chunks_at(int(step.numpy()))", "gan.chunks_at(0)", OF_STEP, "sequences never grow"),
    Mutant(STEP, "batch = gan.sequence(batch, count)", "pass", OF_STEP, "a shorter sequence is the clip's beginning"),
    Mutant(FILE, "self.pictures(maps[:, :PAST])", "self.pictures(maps[:, 1 : PAST + 1])", PICTURES, "first frames of other labels"),
    Mutant(FILE, 'self.image.trainable = config.phase == "image"', "self.image.trainable = True", PICTURES, "it learns on"),
    Mutant(
        FILE,
        '*([with_source(frames.painted)] if config.phase != "image" else [])',
        "with_source(frames.painted)",
        PICTURES,
        "single pictures are judged twice",
    ),
    Mutant(
        FILE,
        'fakes = (frames.final, frames.painted) if self.config.phase != "image" else (frames.final,)',
        "fakes = (frames.final, frames.painted)",
        PICTURES,
        "single pictures are perceived twice",
    ),
    Mutant(FILE, "self.first_part = max(1, config.given_frames)", "self.first_part = 1", f"{TEST} -k goes_on", "it begins with one"),
    Mutant(FILMS, "yield from np.round(made[0].numpy()", "yield from np.round(made[0, :1].numpy()", OF_FILMS, "a first frame is lost"),
    Mutant(FILMS, "if len(first) < begin:", "if not first:", OF_FILMS, "a film too short is begun"),
    Mutant(FACE_MAPS, "above[:, 1]) * 2 / 3", "above[:, 1]) * 1 / 2", OF_FACE_MAPS, "a lower forehead"),
    Mutant(FACE_MAPS, "points[15:0:-1]", "points[1:16]", OF_FACE_MAPS, "a forehead drawn from the left"),
    Mutant(FACE_MAPS, "float(3 * least[1] + most[1]) / 4", "float(least[1] + most[1]) / 2", OF_FACE_MAPS, "the box is lower"),
    Mutant(FACE_MAPS, "4 * t * (1 - t)", "2 * t * (1 - t)", OF_FACE_MAPS, "a curve beside its points"),
    Mutant(FACE_MAPS, "cv2.fillPoly(edges, [curves[0]], 0)", "pass", OF_FACE_MAPS, "the frame's edges within the face"),
    Mutant(FACE_MAPS, "cv2.DIST_L1", "cv2.DIST_L2", OF_FACE_MAPS, "straight distances"),
    Mutant(FACE_MAPS, "LINE, FAR, STEPS = 2, 3, 16", "LINE, FAR, STEPS = 2, 2, 16", OF_FACE_MAPS, "distances by 2"),
    Mutant(FACE_MAPS, "edges[alone == 0] = 255", "pass", OF_FACE_MAPS, "no edges of the face's parts"),
    Mutant(FACES, "film.points[0], film.facts.height", "film.points[first], film.facts.height", OF_FACES, "the box follows the face"),
    Mutant(FACES, "- [left, top]) *", "- [top, left]) *", OF_FACES, "columns and rows of the box"),
    Mutant(FACES, "(config.size / side)", "1.0", OF_FACES, "points are not resized with their frames"),
    Mutant("tfvideogan/data/clips.py", "video[:, :, ::-1], lambda: video)", "video[:, ::-1], lambda: video)", OF_FACES, "upside down"),
]
