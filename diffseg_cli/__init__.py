"""The command ``diffseg``: folders of images, datasets, comparisons. Not a part of the node pack."""
