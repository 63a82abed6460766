"""Faults that the fast tests must notice: a list for each area, and `python -m tests.mutants`, which tries them.

A library that derives its mutants from the syntax (mutmut, cosmic-ray) makes thousands of the models, each some half a minute of
TensorFlow, and no hinge with real and fake exchanged. These lists name what a paper's reader would get wrong.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A fault of one place.

    Attributes:
        file: path from the root of the tree.
        find: the text there that is right; it occurs exactly once in the file.
        replace: what stands in its place.
        tests: arguments of pytest, the test that is likely to notice first: files, FILE::TEST, or -k.
        why: what is wrong with it, in a few words.
        survives: why no test can notice; empty where one must.
    """

    file: str
    find: str
    replace: str
    tests: str
    why: str
    survives: str = ""

    def apply(self, text: str) -> str:
        """The file's text with the fault in it. Raises ValueError unless `find` occurs exactly once."""
        if (found := text.count(self.find)) != 1:
            raise ValueError(f"{self.file}: got {self.find!r} {found} times, expected it once ({self.why})")
        return text.replace(self.find, self.replace)
