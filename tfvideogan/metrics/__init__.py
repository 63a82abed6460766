"""Numbers that say how good generated clips are. One file a metric; `features/` turns clips into what they compare."""
