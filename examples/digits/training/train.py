"""Train the digits network and split off the held-out images.

    python train.py OUTPUT_FOLDER

writes OUTPUT_FOLDER/network/weights.bin and OUTPUT_FOLDER/heldout/images.csv,
and prints the accuracy on the held-out images. The seed is fixed and the
package versions are pinned in requirements.txt: on one machine each run writes
the same bytes. Another processor may round sums in another order.

The data set, its origin and its licence are described in ../README.md.
"""

import pathlib
import struct
import sys

import numpy as np
from sklearn.datasets import load_digits

SEED = 20
HELD_OUT_IMAGES = 400
LAYER_SIZES = [64, 128, 64, 10]
EPOCHS = 60
BATCH_SIZE = 32
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
MAX_PIXEL = 16  # the data set's pixels are whole numbers from 0 to 16


def split(random):
    """Return the pixels and labels to train on, and those held out."""
    digits = load_digits()
    order = random.permutation(len(digits.target))
    held_out, train = order[:HELD_OUT_IMAGES], order[HELD_OUT_IMAGES:]
    return (digits.data[train], digits.target[train],
            digits.data[held_out], digits.target[held_out])


def shifted(pixels, labels):
    """Return the images and copies of them moved by one pixel in each direction."""
    images = pixels.reshape(-1, 8, 8)
    moved = [images]
    for axis in (1, 2):
        for step in (-1, 1):
            copy = np.roll(images, step, axis=axis)
            edge = [slice(None)] * 3
            edge[axis] = 0 if step == 1 else -1
            copy[tuple(edge)] = 0
            moved.append(copy)
    return np.concatenate(moved).reshape(-1, 64), np.tile(labels, len(moved))


def forward(layers, inputs):
    """Return the activations of every layer; the last are the logits."""
    activations = [inputs]
    for index, (weights, biases) in enumerate(layers):
        sums = activations[-1] @ weights + biases
        last = index == len(layers) - 1
        activations.append(sums if last else np.maximum(sums, 0))
    return activations


def gradients(layers, inputs, labels):
    """Return the gradients of the mean cross entropy, layer by layer."""
    activations = forward(layers, inputs)
    logits = activations[-1]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta = exponentials / exponentials.sum(axis=1, keepdims=True)
    delta[np.arange(len(labels)), labels] -= 1
    delta /= len(labels)
    found = []
    for index in reversed(range(len(layers))):
        weights, _ = layers[index]
        found.append((activations[index].T @ delta + WEIGHT_DECAY * weights,
                      delta.sum(axis=0)))
        delta = (delta @ weights.T) * (activations[index] > 0)
    return found[::-1]


def train(pixels, labels, random):
    """Return layers trained by Adam: a list of (weights, biases)."""
    layers = [(random.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs), np.zeros(outputs))
              for inputs, outputs in zip(LAYER_SIZES, LAYER_SIZES[1:])]
    means = [tuple(np.zeros_like(part) for part in layer) for layer in layers]
    squares = [tuple(np.zeros_like(part) for part in layer) for layer in layers]
    step = 0
    for _ in range(EPOCHS):
        order = random.permutation(len(labels))
        for start in range(0, len(order), BATCH_SIZE):
            chosen = order[start:start + BATCH_SIZE]
            step += 1
            for layer, found in enumerate(gradients(layers, pixels[chosen], labels[chosen])):
                for part in range(2):
                    mean, square, gradient = means[layer][part], squares[layer][part], found[part]
                    mean += 0.1 * (gradient - mean)
                    square += 0.001 * (gradient ** 2 - square)
                    layers[layer][part][...] -= LEARNING_RATE * (mean / (1 - 0.9 ** step)) / (
                        np.sqrt(square / (1 - 0.999 ** step)) + 1e-8)
    return layers


def write_weights(path, layers):
    """Write little-endian: u32 layers; per layer u32 inputs, u32 outputs,
    float32 weights[inputs][outputs], float32 biases[outputs]."""
    with open(path, "wb") as file:
        file.write(struct.pack("<I", len(layers)))
        for weights, biases in layers:
            file.write(struct.pack("<II", *weights.shape))
            file.write(weights.astype("<f4").tobytes())
            file.write(biases.astype("<f4").tobytes())


def write_images(path, pixels, labels):
    """Write a line per image: 64 pixels from 0 to 16, row by row, then the label."""
    rows = np.column_stack([pixels.astype(int), labels])
    np.savetxt(path, rows, fmt="%d", delimiter=",")


def main():
    output = pathlib.Path(sys.argv[1])
    random = np.random.Generator(np.random.PCG64(SEED))
    pixels, labels, held_out_pixels, held_out_labels = split(random)
    more_pixels, more_labels = shifted(pixels, labels)
    layers = train(more_pixels / MAX_PIXEL, more_labels, random)

    for folder in ("network", "heldout"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    write_weights(output / "network" / "weights.bin", layers)
    write_images(output / "heldout" / "images.csv", held_out_pixels, held_out_labels)

    logits = forward(layers, held_out_pixels / MAX_PIXEL)[-1]
    accuracy = (logits.argmax(axis=1) == held_out_labels).mean()
    print(f"held-out images: {len(held_out_labels)}, accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
