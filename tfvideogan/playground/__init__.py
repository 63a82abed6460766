"""The playground: a page on this machine that draws clips from a module as its controls are moved."""
