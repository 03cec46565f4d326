"""What others have published about pose networks: accuracy, parameters and multiply-accumulates, each with its source.

Accuracy is AP on COCO val2017, measured by the publishers with boxes of the same detector (56.4 AP for people), with
the flip test. Publishers write "FLOPs" for multiply-accumulates, and do not all count the same operations, so compare
their figures coarsely; notebook 02 counts our own networks.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]

LITE_HRNET = "github.com/HRNet/Lite-HRNet, README"
MMPOSE = "github.com/open-mmlab/mmpose, configs/body_2d_keypoint"
LIGHT = "github.com/HAIV-Lab/ICPR22w, README; parameters: doi.org/10.1155/2021/1333250, table 3"
LPN = "github.com/zhang943/lpn-pytorch, README"
RTMPOSE = f"{MMPOSE}/rtmpose; parameters: projects/rtmpose/benchmark"
DITE = "github.com/ZiyiZhang27/Dite-HRNet, README"


@dataclass(frozen=True)
class Published:
    """One row: a network at one input size.

    Attributes:
        name: as its publishers call it.
        size: (height, width) of the input.
        ap: average precision on COCO val2017, in per cent.
        parameters: in millions.
        macs: multiply-accumulates for one image, in millions.
        source: where the figures are.
        variant: our name of the same network, if it is one of the four variants.
    """

    name: str
    size: tuple[int, int]
    ap: float
    parameters: float
    macs: float
    source: str
    variant: str | None = None


PUBLISHED = (
    Published("Naive Lite-HRNet-18", (256, 192), 62.8, 0.7, 194.8, LITE_HRNET, "naive_litehrnet18"),
    Published("Lite-HRNet-18", (256, 192), 64.8, 1.1, 205.2, LITE_HRNET, "litehrnet18"),
    Published("Wider naive Lite-HRNet-18", (256, 192), 66.0, 1.3, 311.1, LITE_HRNET, "wider_naive_litehrnet18"),
    Published("Lite-HRNet-30", (256, 192), 67.2, 1.8, 319.2, LITE_HRNET, "litehrnet30"),
    Published("Lite-HRNet-18", (384, 288), 67.6, 1.1, 461.6, LITE_HRNET, "litehrnet18"),
    Published("Lite-HRNet-30", (384, 288), 70.4, 1.8, 717.8, LITE_HRNET, "litehrnet30"),
    Published("Dite-HRNet-18", (256, 192), 65.9, 1.1, 209.8, DITE),
    Published("RTMPose-t", (256, 192), 68.2, 3.34, 360, RTMPOSE),
    Published("RTMPose-s", (256, 192), 71.6, 5.47, 680, RTMPOSE),
    Published("MobileNetV2", (256, 192), 64.6, 9.8, 1590, LIGHT),
    Published("ShuffleNetV2", (256, 192), 59.9, 7.6, 1370, LIGHT),
    Published("LPN-50", (256, 192), 69.1, 2.9, 1000, LPN),
    Published("HRNet-W32", (256, 192), 74.4, 28.5, 7100, LPN),
)
