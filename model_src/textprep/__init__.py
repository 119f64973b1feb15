"""What every part of the system agrees on about a text: its normal form and its language.

Pure Python without dependencies: it travels in the model archive and in the Lambda assets alike.
"""

from textprep.language import LANGUAGES, Language, detect_language
from textprep.normalization import NormalizedText, normalize, normalize_with_offsets

__all__ = [
    "LANGUAGES",
    "Language",
    "NormalizedText",
    "detect_language",
    "normalize",
    "normalize_with_offsets",
]
