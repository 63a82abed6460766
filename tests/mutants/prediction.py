"""Faults of predictions' evaluation, and of clips that go on."""

from tests.mutants import Mutant

FRAMES, BASELINES, PREDICTION = (f"tfvideogan/evaluation/{name}.py" for name in ("frames", "baselines", "prediction"))
ROLLOUT, SAMPLER, PLAYERS, PICTURES = (f"tfvideogan/generation/{name}.py" for name in ("rollout", "sampler", "players", "pictures"))
NORM, MOCOGAN, DVDGAN = "tfvideogan/layers/norm.py", "tfvideogan/models/mocogan.py", "tfvideogan/models/dvdgan.py"
LPIPS, STATE_DICT = "tfvideogan/evaluators/lpips.py", "tfvideogan/evaluators/state_dict.py"
CENTERS = "benchmarks/shape_centers.py"

OF_PREDICTION, OF_FOLDERS = "tests/evaluation/prediction_test.py", "tests/evaluation/folders_test.py"
OF_ROLLOUT, OF_PICTURES, OF_CENTERS = "tests/generation/rollout_test.py", "tests/generation/pictures_test.py", "tests/shape_centers_test.py"
OF_LPIPS, OF_STATE_DICT = "tests/evaluators/lpips_test.py", "tests/evaluators/state_dict_test.py"
REFERENCE = f"{OF_LPIPS} -k reference"
PARTS = "tests/models_test.py -k parts_is_the_long_one"
ASKED = "tests/generation/sampler_test.py -k another_range"

MUTANTS = [
    Mutant(FRAMES, "else mean.argmax(1)", "else mean.argmin(1)", f"{OF_PREDICTION} -k best", "the worst future for the best"),
    Mutant(FRAMES, "mean = values.mean(2)", "mean = values[:, :, 0]", f"{OF_PREDICTION} -k best", "the best by one frame"),
    Mutant(
        FRAMES, "truth[:, self.start :], clips[:, self.start :]", "truth, clips", f"{OF_PREDICTION} -k copying", "given frames are scored"
    ),
    Mutant(FRAMES, "if self._added % self.futures:", "if self._added:", f"{OF_PREDICTION} -k best", "the spread of different clips"),
    Mutant(FRAMES, "i : i + futures], 1)", "i : i + futures], 0)", f"{OF_PREDICTION} -k best", "futures taken for clips"),
    Mutant(FRAMES, "mean.argmin(1) if", "mean.argmax(1) if", f"{OF_PREDICTION} -k lpips", "the most distant future for the best"),
    Mutant(LPIPS, "tf.constant(SHIFT)) / tf", "0.0) / tf", REFERENCE, "pictures are not shifted"),
    Mutant(LPIPS, "(pictures - tf.constant(SHIFT)) / tf.constant(SCALE)", "pictures", REFERENCE, "version 0.0"),
    Mutant(LPIPS, "(tf.norm(x, axis=-1, keepdims=True) + EPSILON)", "1.0", REFERENCE, "features are not normalized"),
    Mutant(LPIPS, '"alex": (3, 6), "vgg"', '"alex": (3, 6, 8), "vgg"', REFERENCE, "a pooling more"),
    Mutant(LPIPS, '"vgg": (2, 7, 14, 21, 28)', '"vgg": (0, 5, 12, 19, 26)', REFERENCE, "other layers of the blocks"),
    Mutant(LPIPS, "tf.square(a - b), head), [1, 2])", "tf.abs(a - b), head), [1, 2])", REFERENCE, "absolute differences"),
    Mutant(LPIPS, "0: (11, 4, 2, 3, 64)", "0: (11, 4, 5, 3, 64)", REFERENCE, "AlexNet's first padding as of SAME"),
    Mutant(LPIPS, ".transpose(2, 3, 1, 0)", ".transpose(3, 2, 1, 0)", REFERENCE, "kernels transposed"),
    Mutant(LPIPS, ".mean(1)", "[:, 0]", REFERENCE, "the first frame stands for the clip"),
    Mutant(STATE_DICT, "for stride in self.strides]", "for stride in self.strides[::-1]]", OF_STATE_DICT, "strides in the other order"),
    Mutant(STATE_DICT, "values[self.offset :]", "values", OF_STATE_DICT, "every view begins with its storage"),
    Mutant(
        STATE_DICT,
        'raise pickle.UnpicklingError(f"it holds',
        'return super().find_class(module, name)\n        raise pickle.UnpicklingError(f"it holds',
        OF_STATE_DICT,
        "files may run what they like",
    ),
    Mutant(
        BASELINES, 'inputs["first_frames"][:, -1:]', 'inputs["first_frames"][:, :1]', f"{OF_PREDICTION} -k baselines", "the first frame"
    ),
    Mutant(BASELINES, "(last - before)", "(before - last)", f"{OF_PREDICTION} -k baselines", "the line goes back"),
    Mutant(BASELINES, "-1.0, 1.0)", "-2.0, 2.0)", f"{OF_PREDICTION} -k baselines", "the line leaves the range"),
    Mutant(PREDICTION, "config.seed + future, start]", "config.seed, start]", f"{OF_PREDICTION} -k futures", "every future is the first"),
    Mutant(PREDICTION, "[: videos - start]", "[:videos]", f"{OF_PREDICTION} -k protocol", "the last batch is not cut"),
    Mutant(PREDICTION, "yield clips, batch", "yield clips[:, -1:], batch", f"{OF_PREDICTION} -k whole", "sets without the given frames"),
    Mutant(
        PREDICTION, "zip(real.once(1), fake.once(futures)", "zip(real.once(1), fake.once(1)", f"{OF_FOLDERS} -k futures", "a video each"
    ),
    Mutant(ROLLOUT, "[:, -first.shape[1] :]", "[:, : first.shape[1]]", f"{OF_ROLLOUT} -k fed_back", "the same frames are given again"),
    Mutant(
        ROLLOUT,
        '-state["part"], "philox")',
        '0 * state["part"], "philox")',
        f"{OF_ROLLOUT} -k fresh",
        "every later part has the same latents",
    ),
    Mutant(
        ROLLOUT,
        'tf.where(state["part"] == 0,',
        'tf.where(state["part"] < 0,',
        f"{OF_ROLLOUT} -k fresh",
        "not the short clip's start",
    ),
    Mutant(
        ROLLOUT, 'state["network"], state["truncation"])', '{}, state["truncation"])', f"{OF_ROLLOUT} -k fresh", "the state is forgotten"
    ),
    Mutant(ROLLOUT, "video[:, given_frames:], state", "video, state", f"{OF_ROLLOUT} -k own_frames", "the given frames come twice"),
    Mutant(ROLLOUT, "frames -= video.shape[1]", "frames -= 1", f"{OF_ROLLOUT} -k fresh", "clips too long"),
    Mutant(
        NORM, "found[-1:] if self.last else found", "found", f"{OF_ROLLOUT} -k statistics", "later frames have the statistics of the first"
    ),
    Mutant(
        NORM,
        "norm.rows, norm.last = None, False",
        "norm.rows = None",
        f"{OF_ROLLOUT} -k statistics",
        "and all frames have the last's, ever after",
    ),
    Mutant(
        SAMPLER,
        "standing_at(norms, rows, last=True)",
        "standing_at(norms, rows)",
        OF_ROLLOUT,
        "later frames have the statistics of the first",
        "the test of the norm and the flag in one line stand for it: the toy generators have no norm",
    ),
    Mutant(SAMPLER, "from_unit(checked_picture(name, inputs[name]))", "from_unit(inputs[name])", ASKED, "pictures of 0..255 give a clip"),
    Mutant(SAMPLER, "is_in_unit(picture), [1, 2, 3, 4]", "is_in_unit(picture), [0, 1, 2, 3, 4]", ASKED, "a wrong picture spoils all clips"),
    Mutant(SAMPLER, "<= 0.5 + OVERSHOOT", "<= 0.5 + 255.0", ASKED, "pictures of any range"),
    Mutant(MOCOGAN, "h = h if before is None else before", "h = h", PARTS, "the walk begins anew"),
    Mutant(MOCOGAN, '[state["content"], z[:, content:]]', "[z[:, :content], z[:, content:]]", PARTS, "another content in every part"),
    Mutant(DVDGAN, "last.append(x[:, -1])", "last.append(x[:, 0])", PARTS, "the state of the part's first frame"),
    Mutant(DVDGAN, 'z = state.get("z", inputs["z"])', 'z = inputs["z"]', PARTS, "another latent in every part"),
    Mutant(PLAYERS, "disposal=1", "disposal=2", f"{OF_PICTURES} -k change", "what does not change is wiped"),
    Mutant(PLAYERS, "(left, top), duration", "(0, 0), duration", f"{OF_PICTURES} -k change", "changes stand in the corner"),
    Mutant(
        PLAYERS,
        "changed[0, 0] |= not changed.any()",
        "changed[:] |= not changed.any()",
        OF_PICTURES,
        "frames that do not change are written whole",
        "the picture is the same, the file larger",
    ),
    Mutant(PICTURES, "videos[:, t - seen]", "videos[:, 0]", f"{OF_PICTURES} -k parts", "the sheet has the first frame of each part"),
    Mutant(CENTERS, "clips.max(-1).argmin(1)", "clips.max(-1).argmax(1)", OF_CENTERS, "the shape taken for the background"),
    Mutant(CENTERS, "nan=np.inf", "nan=0.0", OF_CENTERS, "a lost shape is where it should be"),
    Mutant(CENTERS, "last + ahead * (last - known[:, -2:-1])", "last + (last - known[:, -2:-1])", OF_CENTERS, "one step for all"),
]
