"""Moving shapes as a TFDS data set, `moving_shapes/{plain,textured,mixed,shape_motion,labels,dancer}`, for programs that read TFDS.

    from tfvideogan.data.moving_shapes_builder import MovingShapes
    MovingShapes(config="mixed", data_dir=DIR).download_and_prepare()

then `tfds.load("moving_shapes/mixed", data_dir=DIR)`, or `--dataset=prepared --data_dir=DIR`.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from tfvideogan.data.sources.moving_shapes import VARIANTS, clips_of, labels_of, render


@dataclasses.dataclass(eq=False)
class MovingShapesConfig(tfds.core.BuilderConfig):
    """`variant` in `frames` frames of `size` pixels; of each split, at most the first `most` clips."""

    variant: str = "mixed"
    frames: int = 16
    size: int = 64
    most: int = 50_400


class MovingShapes(tfds.core.GeneratorBasedBuilder):
    """The clips of `data.moving_shapes`: "video" uint8 [T,size,size,3], "label", and "index", the clip's number."""

    VERSION = tfds.core.Version("1.0.0")
    # Nothing is downloaded; to look for checksums, TFDS 4.9.10 would import importlib_resources, which it does not declare.
    url_infos: dict = {}
    BUILDER_CONFIGS = [MovingShapesConfig(name=variant, variant=variant) for variant in VARIANTS]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        features = {
            "video": tfds.features.Video(shape=(config.frames, config.size, config.size, 3)),
            "label": tfds.features.ClassLabel(names=labels_of(config.variant)),
            "index": np.int64,
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("video", "label"))

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        return {split: self._generate_examples(clips_of(self.builder_config.variant, split)) for split in ("train", "test")}

    def _generate_examples(self, clips: range) -> Iterator[tuple[int, dict]]:
        config = self.builder_config
        for index in clips[: config.most]:
            video, label = render(index, config.frames, config.size, config.variant)
            yield index, {"video": video, "label": int(label), "index": index}
