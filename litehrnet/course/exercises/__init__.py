"""Ready checks for the notebooks' exercises.

Every check takes the reader's answer and returns a `Verdict`, whose text says "not solved yet", names the first case
that differs, or says that all cases agree.
"""

from .core import *
from .cost import *
from .devices import *
from .export import *
from .fewer_bits import *
from .heatmaps import *
from .limits import *
from .meet import *
from .one_c_file import *
from .pooling import *
from .speed import *
from .start import *
from .teach import *
from .verify import *
