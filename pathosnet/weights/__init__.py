"""The only place that knows foreign files: Keras .h5 and torchvggish .pth become modules, by name and strictly."""

from pathosnet.weights.pathosnet import load_pathosnet
from pathosnet.weights.thin_resnet34 import load_thin_resnet34
from pathosnet.weights.vggish import load_vggish

__all__ = ["load_pathosnet", "load_thin_resnet34", "load_vggish"]
