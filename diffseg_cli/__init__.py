"""The command ``diffseg``: folders of pictures, data sets, comparisons. Not a part of the node pack."""
