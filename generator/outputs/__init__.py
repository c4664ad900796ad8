"""The files of one video: tensors, the video itself and, last, its manifest."""
