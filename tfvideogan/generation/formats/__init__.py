"""Other formats of an exported module, one a file: each is made from the SavedModel by a converter that others maintain."""
