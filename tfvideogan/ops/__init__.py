"""How things are computed: the plain formula first, and beside it the form that is faster on a CPU."""
