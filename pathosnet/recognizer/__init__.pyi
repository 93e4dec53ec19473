from .card import CorpusFacts as CorpusFacts
from .card import Facts as Facts
from .prediction import Prediction as Prediction
from .recognizer import PathosNet as PathosNet
