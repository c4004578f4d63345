"""The command ``diffseg``: folders of images, data sets, comparisons. Not a part of the node pack."""
