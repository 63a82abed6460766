"""Faults of DVD-GAN-FP."""

from tests.mutants import Mutant

FILE = "tfvideogan/models/dvdgan_fp.py"
DVDGAN = "tfvideogan/models/dvdgan.py"
GRU = "tfvideogan/layers/conv_gru.py"
FUSED = "tfvideogan/ops/fused.py"
SAMPLER = "tfvideogan/generation/sampler.py"
TSRU = "tfvideogan/layers/tsru.py"
BAIR = "tfvideogan/data/sources/bair.py"

TEST = "tests/models/dvdgan_fp_test.py"
ENCODER = f"{TEST} -k 'encoder_computes and two and train'"
SHOWN = f"{TEST} -k is_shown"
TABLE = f"{TEST} -k of_the_table"
GENERATOR = f"{TEST} -k generator_continues"
TSRUS, CROPS = "tests/layers/tsru_test.py -k equations", f"{TEST} -k crops"
UNITS = f"{TEST} -k recurrent"
MODULE = f"{TEST} -k module_predicts"
FUSED_GRU = "tests/ops/fused_test.py -k gru"

MUTANTS = [
    # Encoder
    Mutant(FILE, "axis=1), -1)  # [N,h,w,C*c]", "axis=1)[::-1], -1)", ENCODER, "the frames' maps side by side from the last on"),
    Mutant(
        FILE,
        "tf.concat(tf.unstack(unfold(x, frames), axis=1), -1)",
        "tf.reshape(unfold(x, frames), [-1, *x.shape[1:3], frames * x.shape[3]])",
        ENCODER,
        "the frames' maps joined without regard to pixels",
    ),
    Mutant(
        FILE,
        "states.append(to_state(side_by_side, mode=mode, relu=True))",
        "states.append(to_state(side_by_side, mode=mode))",
        ENCODER,
        "states without ReLU",
    ),
    Mutant(
        FILE,
        "states.append(to_state(side_by_side, mode=mode, relu=True))",
        "states.append(to_state(tf.nn.relu(side_by_side), mode=mode, relu=True))",
        ENCODER,
        "the 3x3 convolution reads rectified maps",
    ),
    Mutant(FILE, "return states[::-1]", "return states", ENCODER, "the largest map is the first state"),
    Mutant(FILE, "first=i == 0, down=True", "first=False, down=True", ENCODER, "a leading ReLU before the given frames"),
    Mutant(
        FILE,
        "x, frames, states = fold(video), video.shape[1], []",
        "x, frames, states = fold(0 * video + video[:, -1:]), video.shape[1], []",
        ENCODER,
        "the last given frame alone is read",
    ),
    Mutant(FILE, "state, (3, 3)))", "state, (1, 1)))", TABLE, "1x1 convolutions, as in the first version of the paper"),
    Mutant(FILE, "D_CHANNELS[config.size][:-1]]", "D_CHANNELS[config.size]]", TABLE, "the encoder has D's last block too"),
    # Generator
    Mutant(
        FILE,
        "self.encoder(first_frames, mode=mode))",
        "[tf.stop_gradient(state) for state in self.encoder(first_frames, mode=mode)])",
        f"{TEST} -k gs_alone",
        "the encoder gets no gradient",
    ),
    Mutant(
        FILE,
        "self.encoder(first_frames, mode=mode))",
        "self.encoder(first_frames, mode=mode)[:1])",
        GENERATOR,
        "a state for the first ConvGRU alone, as in the first version of the paper",
    ),
    Mutant(
        FILE, "tf.concat([first_frames, continuation], 1)", "tf.concat([continuation, first_frames], 1)", GENERATOR, "the given frames last"
    ),
    Mutant(
        FILE,
        "super().call(z, label, mode, self",
        "super().call(z, None, mode, self",
        GENERATOR,
        "the conditional G does not hear the class",
    ),
    Mutant(
        DVDGAN,
        "condition, *states[i : i + 1], mode=mode)",
        "condition, *states[:0], mode=mode)",
        f"{TEST} -k beginning",
        "the ConvGRUs start from 0",
    ),
    # What D_S and D_T read
    Mutant(
        DVDGAN,
        "generated = video[:, -self.generated_frames :]",
        "generated = video",
        SHOWN,
        "D_S is shown the first frames, the given ones among them",
    ),
    Mutant(
        DVDGAN,
        'self._phi(self.views["temporal"], video,',
        'self._phi(self.views["temporal"], generated,',
        SHOWN,
        "D_T is not shown the given frames",
    ),
    Mutant(
        FILE,
        'batch["video"][:, : self.config.given_frames]}',
        'batch["video"][:, -self.config.given_frames :]}',
        SHOWN,
        "the last frames are given",
    ),
    Mutant(
        FILE,
        "return self.frames - self.given_frames",
        "return self.frames",
        f"{TEST} -k default",
        "a whole clip is made after the given frames",
    ),
    # Classes
    Mutant(
        FILE,
        "super().embedded_classes if self.conditional else 1",
        "super().embedded_classes",
        TABLE,
        "an embedding of classes that nobody reads",
    ),
    Mutant(
        FILE,
        "return specs if config.conditional else",
        "return specs if not config.conditional else",
        f"{TEST} -k classes_are_read",
        "labels are asked for where none are read",
    ),
    # TrIVD-GAN's options
    Mutant(TSRU, '== "tsru_s":\n            after', '== "tsru_c":\n            after', TSRUS, "other variants renew u by the moved state"),
    Mutant(TSRU, "m = warp(h, flow)\n", "m = warp(h, -flow)\n", TSRUS, "the state is moved the other way"),
    Mutant(TSRU, "m = warp(h, flow)\n", "m = h\n", TSRUS, "the state is not moved"),
    Mutant(TSRU, "u * m + (1 - u) * c", "u * h + (1 - u) * c", TSRUS, "the old state is kept where it was"),
    Mutant(TSRU, "u * m + (1 - u) * c", "u * c + (1 - u) * m", TSRUS, "u keeps the candidate"),
    Mutant(TSRU, "self._convolve(c, x_u)", "self._convolve(m, x_u)", TSRUS, "tsru_s: u does not see the candidate"),
    Mutant(TSRU, "before_warp, after_warp = [h_f, h_u, h_c], []", "pass", TSRUS, "tsru_p: c waits for the moved state"),
    Mutant(TSRU, 'bias["f"], relu=True), flow_kernel)', 'bias["f"]), flow_kernel)', TSRUS, "f without its ReLU"),
    Mutant(TSRU, 'bias["f"], relu=True), flow_kernel) + bias["flow"]', 'bias["f"], relu=True), flow_kernel)', TSRUS, "f without bias"),
    Mutant(TSRU, "if initial is None else initial", "", TSRUS, "the unit begins with 0"),
    Mutant(
        FILE, '{"spatial": "2x2", "temporal": "crop"}', '{"spatial": "crop", "temporal": "2x2"}', CROPS, "D_S sees crops, D_T the whole"
    ),
    Mutant(FILE, "return super().views if", "return super().views if not", CROPS, "crops unless asked for"),
    Mutant(
        FILE,
        "TSRU(channels, self.frames, variant) if variant",
        "TSRU(channels, self.frames, variant) if not variant",
        UNITS,
        "TSRU for GRU",
    ),
    # The recurrence
    Mutant(GRU, "*reads, initial=initial)", "*reads)", "tests/layers/layers_test.py -k goes_on", "ConvGRU forgets its initial state"),
    Mutant(FUSED, "d_h + d_before, *gradients", "d_h, *gradients", FUSED_GRU, "the initial state's gradient by the gates alone"),
    # Module and data
    Mutant(
        SAMPLER,
        '[:, specs["first_frames"].shape[1] :]',
        "",
        MODULE,
        "predict gives the given frames back too",
    ),
    Mutant(
        BAIR,
        "dataclasses.replace(video, label=0)",
        'dataclasses.replace(video, label=0, split="train")',
        "tests/data/sources/bair_test.py -k 'layouts and folder'",
        "test videos are trained on",
    ),
]
