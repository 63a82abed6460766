"""Runs and exports as earlier versions wrote them: `<model>.tar.xz` holds a run of one step, its export, and what they drew."""
