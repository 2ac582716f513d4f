"""Keras networks in the three ways of building them. Keras must run on torch before this is imported."""

import keras
from keras import layers


def functional(filters: int = 8, strides: int = 1) -> keras.Model:
    inputs = keras.Input((16, 16, 8))
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", name="conv1")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Add(name="merge")([inputs, x])
    x = layers.Flatten(name="flat")(layers.ReLU(name="act")(x))
    return keras.Model(inputs, layers.Dense(10, name="head")(x))


class Block(layers.Layer):
    def __init__(self, filters: int, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = layers.Conv2D(filters, 3, strides=strides, padding="same")
        self.conv2 = layers.Conv2D(filters, 3, padding="same")

    def call(self, x):
        return x + self.conv2(keras.activations.relu(self.conv1(x)))


class Subclassed(keras.Model):
    def __init__(self, filters: int = 8, strides: int = 1) -> None:
        super().__init__()
        self.block1, self.block2 = Block(8), Block(filters, strides)
        self.pool = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(10)

    def call(self, x):
        return self.head(self.pool(self.block2(self.block1(x))))


def sequential() -> keras.Model:
    return keras.Sequential([layers.Conv2D(4, 3, name="a"), layers.ReLU(name="b"), layers.Flatten(), layers.Dense(2)])
