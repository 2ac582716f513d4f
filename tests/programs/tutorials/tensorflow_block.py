from tensorflow.keras import layers


def residual_block(x, filters):
    shortcut = x
    x = layers.Conv2D(filters, (3, 3), padding="same", activation="relu")(x)
    x = layers.Conv2D(filters, (3, 3), padding="same")(x)
    x = layers.Add()([x, shortcut])
    return layers.Activation("relu")(x)


inputs = layers.Input(shape=(64, 64, 64))
outputs = residual_block(residual_block(inputs, 64), 128)
