"""How good segments are: datasets with ground truth, measures, the methods to beat, and their comparison."""
