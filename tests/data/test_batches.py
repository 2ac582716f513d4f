import pytest
import torch

from skipstone.data import Batches, DataError, Images, Pixels, load
from skipstone.data.batches import mixed_seed

RAW = Pixels(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))


def counted(n: int = 6, channels: int = 2, height: int = 16, width: int = 16) -> Images:
    """Images whose every pixel tells where it is, by chance values: no two crops are alike."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.arange(n))


def crops(image: torch.Tensor, padding: int) -> list[torch.Tensor]:
    """Every crop of a reflected (C, H, W) image, and of its mirror image: the slow truth."""
    height, width = image.shape[1:]
    padded = torch.nn.functional.pad(image.float()[None], (padding,) * 4, mode="reflect")[0]
    every = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    return every + [crop.flip(2) for crop in every]


def test_every_augmented_image_is_a_crop_of_its_own_image():
    images = counted()
    seen = set()
    for epoch in range(20):
        for x, labels in Batches(images, 3, augmentation="crop-flip", pixels=RAW).epoch(epoch):
            assert x.is_contiguous(memory_format=torch.channels_last)
            for image, label in zip(x, labels, strict=True):
                matches = [i for i, crop in enumerate(crops(images.pixels[label], 2)) if torch.equal(crop, image)]
                assert len(matches) == 1
                seen.add(matches[0])
    assert len(seen) > 40  # of 50: crops at every corner and both sides do come up


def mirrored(images: Images, epoch: int, **options: object) -> dict[int, bool]:
    """Of each image, whether it was mirrored in an epoch."""
    told = {}
    for x, labels in Batches(images, 3, augmentation="crop-flip", pixels=RAW, **options).epoch(epoch):
        for image, label in zip(x, labels, strict=True):
            every = crops(images.pixels[label], 2)
            told[int(label)] = any(torch.equal(crop, image) for crop in every[len(every) // 2 :])
    return told


def test_flips_that_alternate_show_each_side_in_two_epochs():
    images = counted(n=12)
    one, two, three = (mirrored(images, epoch, flips="alternating") for epoch in (1, 2, 3))
    assert len(one) == 12
    assert set(one.values()) == {True, False}, "half of them begin mirrored"
    assert all(two[label] is not one[label] for label in one)
    assert three == one
    assert mirrored(images, 1, flips="alternating", seed=1) != one
    assert [mirrored(images, epoch) for epoch in (1, 3)] != [one, one], "drawn anew each time, they do not"


def test_crop_never_mirrors_and_none_changes_nothing():
    images = counted()
    for x, labels in Batches(images, 3, augmentation="crop", pixels=RAW).epoch(1):
        for image, label in zip(x, labels, strict=True):
            assert any(torch.equal(crop, image) for crop in crops(images.pixels[label], 2)[:25])
    for x, labels in Batches(images, 3, pixels=RAW).epoch(1):
        assert torch.equal(x, images.pixels[labels].float())


def test_crops_may_reach_into_zeros():
    images = counted()
    rims = [
        (image, images.pixels[label])
        for x, labels in Batches(images, 3, augmentation="crop", padding="zeros", pixels=RAW).epoch(1)
        for image, label in zip(x, labels, strict=True)
    ]
    for image, source in rims:
        padded = torch.nn.functional.pad(source.float(), (2,) * 4)
        assert any(torch.equal(padded[:, y : y + 16, x : x + 16], image) for y in range(5) for x in range(5))
    assert any((image[:, 0] == 0).all() or (image[:, -1] == 0).all() for image, _ in rims)


def test_an_epoch_is_a_shuffle_fixed_by_seed_and_number():
    def labels(seed: int, epoch: int) -> list[int]:
        return [int(i) for _, y in Batches(counted(50), 10, seed=seed, pixels=RAW).epoch(epoch) for i in y]

    assert sorted(labels(0, 1)) == list(range(50))
    assert labels(0, 1) == labels(0, 1)
    assert len({tuple(labels(s, e)) for s in range(3) for e in range(3)}) == 9
    assert mixed_seed(0, 1) != mixed_seed(1, 0)


def test_the_smaller_last_batch_is_left_out_unless_it_is_the_only_one():
    assert [len(y) for _, y in Batches(counted(10), 4, pixels=RAW).epoch(0)] == [4, 4]
    assert [len(y) for _, y in Batches(counted(3), 4, pixels=RAW).epoch(0)] == [3]


def test_statistics_equal_those_of_floats():
    train = load("digits").train
    pixels = Pixels.of(train)
    floats = train.pixels.double()
    torch.testing.assert_close(pixels.mean.double().flatten(), floats.mean((0, 2, 3)))
    torch.testing.assert_close(pixels.std.double().flatten(), floats.std((0, 2, 3), correction=0))
    x = pixels.normalise(train.pixels)
    assert abs(float(x.mean())) < 1e-5
    assert float(x.std()) == pytest.approx(1, abs=1e-3)


def test_a_constant_channel_is_not_divided_by_zero():
    flat = Images(torch.full((4, 1, 2, 2), 7, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    assert torch.equal(Pixels.of(flat).normalise(flat.pixels), torch.zeros(4, 1, 2, 2))


def test_no_images():
    with pytest.raises(DataError, match="no images"):
        Batches(counted()[:0], 4)
