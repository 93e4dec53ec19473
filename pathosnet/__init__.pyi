from .errors import InputError as InputError
from .experiments.config import TrainConfig as TrainConfig
from .experiments.cross_validate import cross_validate as cross_validate
from .experiments.evaluate import evaluate as evaluate
from .experiments.finetune import finetune as finetune
from .experiments.run_folder import Run as Run
from .experiments.train import train as train
from .prediction.live import LiveTimeline as LiveTimeline
from .prediction.tables import predictions_to_frame as predictions_to_frame
from .recognizer.prediction import Prediction as Prediction
from .recognizer.recognizer import PathosNet as PathosNet

__version__: str
