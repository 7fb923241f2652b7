"""The benchmark of chance in figures on real clips: it reads faces in other squares, and leaves none behind."""

import numpy as np
import pytest
from facespot.benchmarks.scatter import READINGS, read_in
from facespot.extract.face.mesh_reader import MeshReader
from facespot.extract.face.square import TurnedSquare

data = pytest.importorskip("skimage.data")


def test_faces_are_read_in_another_square_and_then_as_before():
    reader, picture = MeshReader(), data.astronaut()
    square = reader.find(picture)
    for _ in range(3):
        usual = reader.read(picture, square)
        square = TurnedSquare.around_mesh(usual)
    usual = reader.read(picture, square)
    for name, (size, degrees) in READINGS.items():
        other = TurnedSquare(square.centre_x, square.centre_y, size * square.side, square.turn + np.deg2rad(degrees))
        with read_in(size, degrees):
            nudged = reader.read(picture, square)
        np.testing.assert_allclose(nudged, reader.read(picture, other), atol=1e-4)
        assert np.abs(nudged - usual).max() < 4  # pixels: still the same face
        assert np.array_equal(nudged, usual) == (name == "as it is")
    assert np.array_equal(reader.read(picture, square), usual)


def test_a_reading_that_fails_leaves_none_behind():
    usual = MeshReader.read
    with pytest.raises(RuntimeError), read_in(0.97, 0.0):
        raise RuntimeError
    assert MeshReader.read is usual
