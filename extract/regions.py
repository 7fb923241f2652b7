"""Which points of the MediaPipe face mesh stand for which part of the face.

Left and right are the **viewer's**: `image_left_brow` is the brow nearer the left edge of an unmirrored
picture, which is the subject's right brow. The ten ROIs keep the order of the papers (68-point landmarks
18, 19, 20, 23, 24, 25, 48, 51, 54, 57).
"""

ROI_MESH_POINTS: dict[str, tuple[int, ...]] = {
    "image_left_brow_outer": (70, 63, 46, 53),
    "image_left_brow_mid": (105, 52),
    "image_left_brow_inner": (66, 65, 107, 55),
    "image_right_brow_inner": (296, 295, 336, 285),
    "image_right_brow_mid": (334, 282),
    "image_right_brow_outer": (300, 293, 276, 283),
    "image_left_mouth_corner": (61,),
    "upper_lip": (0, 37, 267),
    "image_right_mouth_corner": (291,),
    "lower_lip": (17, 84, 314),
}
ROI_NAMES: tuple[str, ...] = tuple(ROI_MESH_POINTS)
# Mirror image of each ROI, for flips of a whole feature array.
ROI_MIRROR: tuple[int, ...] = (5, 4, 3, 2, 1, 0, 8, 7, 6, 9)

# Points that facial muscles hardly move: nose bridge and tip, eye corners, temples.
RIGID_MESH_POINTS: tuple[int, ...] = (168, 6, 197, 195, 5, 4, 1, 33, 133, 362, 263, 127, 356, 162, 389)
NOSE_MESH_POINTS: tuple[int, ...] = (6, 197, 195, 5, 4)
EYE_CORNERS: dict[str, tuple[int, int]] = {"image_left": (33, 133), "image_right": (263, 362)}
EYE_LIDS: dict[str, tuple[tuple[int, int], ...]] = {
    "image_left": ((159, 145), (158, 153), (160, 144)),
    "image_right": ((386, 374), (385, 380), (387, 373)),
}
IRIS_CENTRES: dict[str, int] = {"image_left": 468, "image_right": 473}
INNER_LIPS: dict[str, int] = {
    "upper": 13,
    "lower": 14,
    "image_left_corner": 78,
    "image_right_corner": 308,
    "upper_image_left": 82,
    "upper_image_right": 312,
    "lower_image_left": 87,
    "lower_image_right": 317,
}
# Outer lip contour between the ROI points, cheeks, nose wings, nasolabial folds, chin and jaw.
SOFT_MESH_PAIRS: tuple[tuple[int, int], ...] = (
    (40, 270),
    (91, 321),
    (50, 280),
    (205, 425),
    (98, 327),
    (64, 294),
    (36, 266),
    (148, 377),
    (172, 397),
)
SOFT_MESH_MIDLINE: tuple[int, ...] = (152, 199, 175, 10, 151, 9, 164, 18)


def _kept() -> tuple[int, ...]:
    kept = {p for points in ROI_MESH_POINTS.values() for p in points} | set(RIGID_MESH_POINTS) | set(NOSE_MESH_POINTS)
    for side in ("image_left", "image_right"):
        kept |= set(EYE_CORNERS[side]) | {p for pair in EYE_LIDS[side] for p in pair} | {IRIS_CENTRES[side]}
    kept |= set(INNER_LIPS.values()) | {p for pair in SOFT_MESH_PAIRS for p in pair} | set(SOFT_MESH_MIDLINE)
    return tuple(sorted(kept))


# The mesh points that are cached per tick, in this order; everything geometric is computed from them.
KEPT_MESH_POINTS: tuple[int, ...] = _kept()
KEPT_INDEX: dict[int, int] = {mesh: row for row, mesh in enumerate(KEPT_MESH_POINTS)}
