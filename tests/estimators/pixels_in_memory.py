"""Where images of uint8 may lie: what tests of them share."""

import numpy as np
import torch


def memory_map(images, folder):
    np.save(folder / "images.npy", images)
    return np.load(folder / "images.npy", mmap_mode="r")


#: Name → the images, lying so; a memory map needs a folder.
KINDS = {
    "array": lambda images, folder: images,
    "tensor": lambda images, folder: torch.from_numpy(images),
    "memory map": memory_map,
    "channels last in memory": lambda images, folder: np.ascontiguousarray(
        images.transpose(0, 2, 3, 1)
    ).transpose(0, 3, 1, 2),
}
