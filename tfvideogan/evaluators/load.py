"""How evaluators are chosen: `load(spec, sha256)`, the one place that knows all of them."""

from tfvideogan.config import UserError
from tfvideogan.evaluators import c3d, classifier, i3d, inception

PUBLISHED = {"i3d": i3d.load, "i3d_float": i3d.load, "c3d": c3d.load, "c3d_tgan": c3d.load, "inception": inception.load}


def load(spec: str, sha256: str = "") -> classifier.Evaluator:
    """The evaluator that a spec names.

    | spec | network | features | logits |
    |---|---|---|---|
    | `moving_shapes` | the shipped classifier | [N,128] | [N,12] |
    | `FILE.npz` | one of `tfvideogan.train_evaluator` | [N,128] | [N,classes] |
    | `i3d:PLACE` | I3D on Kinetics-400 or 600, of clips rounded to uint8 | [N,1024] | [N,400], [N,600] |
    | `i3d_float:PLACE` | the same, of clips that are not rounded | [N,1024] | [N,400], [N,600] |
    | `c3d:PLACE` | C3D as TGANv2 uses it, for IS on UCF-101 | [N,4096] | [N,101] |
    | `c3d_tgan:PLACE` | C3D as TGAN uses it | [N,4096] | [N,101] |
    | `inception:PLACE` | Inception-v3, frame by frame | [N,T,2048] | [N,T,1008] |

    FVD is the Frechet distance of I3D's 400 LOGITS; DVD-GAN's IS and FID are by its 600 logits and its features.
    A PLACE is a path or a TF-Hub handle; each file says which it takes, and `published.find` what the checksum covers.

    Args:
        spec: see the table.
        sha256: the checksum its weights must have; empty takes any.

    Returns: an evaluator: `name`, `sha256`, `labels` (empty where the weights bring no names), `protocol`, and a call that maps clips
        [N,T,H,W,3] in [-1,1] to features and logits as NumPy arrays.
    Raises: UserError, of one line, for an unknown spec, and for weights that are missing, damaged, incomplete or others.
    """
    kind, colon, _ = spec.partition(":")
    if kind in PUBLISHED:
        return PUBLISHED[kind](spec, sha256)
    if colon:
        raise UserError(
            f"--evaluator={spec}: no evaluator {kind!r}; expected {', '.join(f'{name}:PLACE' for name in PUBLISHED)}, or an .npz file"
        )
    evaluator = classifier.load(spec)
    if sha256 and evaluator.sha256 != sha256.lower():
        raise UserError(f"--evaluator={spec}: its sha256 is {evaluator.sha256}, not {sha256}")
    return evaluator
