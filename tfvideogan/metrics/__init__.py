"""Numbers that say how good generated clips are. One file a metric, named as its function; `evaluators/` turns clips into
what they compare.

    from tfvideogan import metrics
    metrics.frechet_distance(real, fake)

Here a name is the function, which hides its file: what else a file has is imported by its full name,
`from tfvideogan.metrics.mmd import gaussian`. All count in float64, raise ValueError for what they cannot compare, and know
neither files nor networks.
"""

from tfvideogan.metrics.average_content_distance import average_content_distance
from tfvideogan.metrics.class_accuracy import class_accuracy
from tfvideogan.metrics.density_coverage import density_coverage
from tfvideogan.metrics.frechet_distance import frechet_distance
from tfvideogan.metrics.inception_score import inception_score
from tfvideogan.metrics.kernel_distance import kernel_distance
from tfvideogan.metrics.mmd import mmd
from tfvideogan.metrics.mode_score import mode_score
from tfvideogan.metrics.modified_inception_score import modified_inception_score
from tfvideogan.metrics.pose_distance import pose_distance
from tfvideogan.metrics.precision_recall import precision_recall
from tfvideogan.metrics.psnr import psnr
from tfvideogan.metrics.sliced_wasserstein_distance import sliced_wasserstein_distance
from tfvideogan.metrics.ssim import ssim
from tfvideogan.metrics.warp_error import warp_error

__all__ = [
    "average_content_distance",
    "class_accuracy",
    "density_coverage",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "mmd",
    "mode_score",
    "modified_inception_score",
    "pose_distance",
    "precision_recall",
    "psnr",
    "sliced_wasserstein_distance",
    "ssim",
    "warp_error",
]
