"""Every figure of the notebooks: one visual language, drawn from live models and live numbers.

`style` holds the colours and helpers; the other files hold one subject each. Needs matplotlib (extra `notebooks`).
"""

from .architecture import *
from .bars import *
from .cost import *
from .devices import *
from .export import *
from .heatmaps import *
from .one_c_file import *
from .openings import *
from .own_joints import *
from .pooling import *
from .speed import *
from .style import *
from .weightings import *
from .worth import *
