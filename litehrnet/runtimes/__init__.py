"""One call over PyTorch, ONNX Runtime, OpenVINO and ncnn: float32 images in, float32 heatmaps out."""

from .loading import RUNTIMES, Run, Runtime, load, runtime_of, usual_size

__all__ = ["RUNTIMES", "Run", "Runtime", "load", "runtime_of", "usual_size"]
