"""`keytrail retention` on another day: the first argument is that day, in microseconds since 1970."""

import sys

from keytrail.cli import retention
from keytrail.cli.main import main
from keytrail.schemas.records import Micros

if __name__ == "__main__":
    day = Micros(int(sys.argv[1]))
    retention.system_clock = lambda: day
    sys.exit(main(sys.argv[2:]))
