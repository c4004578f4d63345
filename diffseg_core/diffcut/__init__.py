"""Segments by cuts through the graph of a model's features, each in two, again and again."""
