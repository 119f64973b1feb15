"""The result database's schema: SQL files, applied once each in the order of their numbers.

A file that was deployed is never changed: what comes later is a file of its own. A statement ends with a semicolon
at the end of a line, and takes less than the 45 seconds that the Data API gives it.
"""

from pathlib import Path

DIRECTORY = Path(__file__).parent
