"""UCF-101's own archives, unpacked where they are to be read: UCF101.rar, and the lists' .zip."""

import os
import shutil
import subprocess
import zipfile

from tfvideogan.config import UserError
from tfvideogan.data import paths
from tfvideogan.data.sources.ucf101 import LISTS, VIDEOS, is_extracted

TOOLS = {  # programs that unpack RAR, and how they are told the archive and the folder
    "bsdtar": ["-xf", "{archive}", "-C", "{folder}"],
    "unar": ["-quiet", "-o", "{folder}", "{archive}"],
    "unrar": ["x", "-idq", "{archive}", "{folder}/"],
    "7z": ["x", "-bd", "-o{folder}", "{archive}"],
}


def extracted(root: str, folder: str) -> str:
    """A folder with UCF-101/ and ucfTrainTestlist/: `root` if it has them, else `folder`, where root's archives are unpacked.

    Archives are UCF101 or UCF-101 and the lists' UCF101TrainTestSplits-RecognitionTask, as .rar, .zip, .tar or .tar.gz.
    Raises: UserError where there is neither, or none of the programs that unpack RAR.
    """
    if is_extracted(root) or is_extracted(folder):
        return root if is_extracted(root) else folder
    names = paths.children(root) if os.path.isdir(root) else []
    found = [
        name for name in names if name.upper().startswith(("UCF101", "UCF-101")) and name.endswith((".rar", ".zip", ".tar", ".tar.gz"))
    ]
    if not found:
        raise UserError(f"--videos={root}: expected a folder with {VIDEOS}/<class>/*.avi and {LISTS}/*.txt, or with UCF-101's archives")
    temporary = folder + ".tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary)
    for name in found:
        _unpack(os.path.join(root, name), temporary)
    if not is_extracted(temporary):
        raise UserError(f"--videos={root}: {', '.join(found)} hold {', '.join(paths.children(temporary))}; expected {VIDEOS} and {LISTS}")
    os.rename(temporary, folder)
    return folder


def _unpack(archive: str, folder: str) -> None:
    if not archive.endswith(".rar"):
        try:
            if archive.endswith(".zip"):
                shutil.unpack_archive(archive, folder)
            else:
                shutil.unpack_archive(archive, folder, filter="data")
        except (shutil.ReadError, zipfile.BadZipFile, EOFError) as error:
            raise UserError(f"{archive}: cannot be unpacked ({error})") from error
        return
    tool = next((tool for tool in TOOLS if shutil.which(tool)), None)
    if tool is None:
        raise UserError(f"{archive}: unpacking it wants one of {', '.join(TOOLS)}; install one, or unpack it yourself")
    done = subprocess.run([tool, *(word.format(archive=archive, folder=folder) for word in TOOLS[tool])], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{archive}: {tool} failed: {' '.join(done.stderr.split()) or done.returncode}")
