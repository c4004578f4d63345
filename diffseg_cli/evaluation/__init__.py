"""How good segments are: data sets with ground truth, measures, the methods to beat, and their comparison."""
