"""Finding recordings in the folder layouts data sets come in."""

import cv2
import numpy as np
import pytest
from facespot.errors import VideoNotFoundError
from facespot.spotting.datasets.layouts import check_layout, match_videos, scan_dataset
from facespot.spotting.datasets.records import (
    RECORD_COLUMNS,
    make_records,
)


class TestLayouts:
    def images(self, folder, numbers, name="img_{:05d}.png"):
        folder.mkdir(parents=True)
        blank = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
        for number in numbers:
            (folder / name.format(number)).write_bytes(blank)

    @pytest.fixture
    def root(self, tmp_path):
        root = tmp_path / "data"
        self.images(root / "SAMM_longvideos" / "006_1", range(1, 31), "006_1_{:04d}.png")
        self.images(root / "SAMM_longvideos" / "006_2", [*range(1, 20), *range(22, 31)], "006_2_{:04d}.png")
        (root / "rawvideo" / "s15").mkdir(parents=True)
        (root / "rawvideo" / "s15" / "15_0101disgustingteeth.avi").write_bytes(b"")
        (root / "rawvideo" / "s15" / "15_0402beatingpregnantwoman.avi").write_bytes(b"")
        self.images(root / "longVideoFaceCropped" / "s15" / "15_0101disgustingteeth", range(1, 31))
        self.images(root / "part_A" / "spNO.1" / "a" / "color", range(1, 31), "{}.png")
        self.images(root / "part_A" / "spNO.1" / "a" / "depth", range(1, 31), "{}.png")
        self.images(root / "stills", range(1, 4))
        (root / "anna").mkdir()
        (root / "anna" / "day1.mp4").write_bytes(b"")
        (root / "ben").mkdir()
        (root / "ben" / "day1.mp4").write_bytes(b"")
        # Much like a name of CAS(ME)^2, but no film of it.
        (root / "ben" / "20_2024holiday.mp4").write_bytes(b"")
        (root / "readme.txt").write_text("nothing")
        return root

    def test_scan(self, root):
        found = {(r.dataset, r.video, r.kind): r for r in scan_dataset(root)}
        assert set(found) == {
            ("SAMM-LV", "006_1", "images"),
            ("SAMM-LV", "006_2", "images"),
            ("CAS(ME)^2", "15_0101", "file"),
            ("CAS(ME)^2", "15_0101", "images"),
            ("CAS(ME)^2", "15_0402", "file"),
            ("CAS(ME)^3", "spNO.1_a", "images"),
            ("own", "anna/day1", "file"),
            ("own", "ben/day1", "file"),
            ("own", "ben/20_2024holiday", "file"),
        }
        samm = found["SAMM-LV", "006_1", "images"]
        assert (samm.subject, samm.fps, samm.n_images, samm.gaps) == ("006", 200.0, 30, ())
        assert found["CAS(ME)^2", "15_0101", "images"].subject == "s15"
        with pytest.raises(VideoNotFoundError):
            scan_dataset(root / "nowhere")

    def test_report(self, root):
        def record(dataset, video):
            return dict(zip(RECORD_COLUMNS, (dataset, "s", video, 1, 2, 3, "macro", (), 30.0), strict=True))

        records = make_records(
            [
                record("SAMM-LV", "006_1"),
                record("SAMM-LV", "007_3"),
                record("CAS(ME)^2", "15_0101"),
            ]
        )
        report = check_layout(scan_dataset(root), records)
        assert report.missing == ("007_3",)
        assert report.unannotated == ("006_2", "15_0402")
        assert list(report.doubled) == ["15_0101"]
        # The whole picture is preferred to the crop.
        assert report.doubled["15_0101"][0].parts[-3] == "rawvideo"
        assert report.gaps == {"006_2": (20, 21)}
        assert len(report.recordings) == 8
        assert any("006_2 lacks 2 images, the first is number 20" in line for line in report.lines())
        assert check_layout(scan_dataset(root)).missing == ()

    def test_same_name_in_two_folders_stays_apart(self, root):
        recordings = scan_dataset(root)
        rows = [dict(zip(RECORD_COLUMNS, ("own", "s", "day1", None, 2, None, "macro", (), 30.0), strict=True))]
        # Two videos are called day1, so the bare name means neither.
        assert list(match_videos(make_records(rows), recordings)["video"]) == ["day1"]
        only_anna = [r for r in recordings if r.video != "ben/day1"]
        assert list(match_videos(make_records(rows), only_anna)["video"]) == ["anna/day1"]
