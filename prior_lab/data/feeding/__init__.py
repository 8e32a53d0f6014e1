"""The way from a data set into a training step: which images, read ahead, as batches or as augmented pairs."""
