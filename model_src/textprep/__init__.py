"""What every part of the system agrees on about a text: its normal form, its language and its features.

Pure Python without dependencies: it travels in the model archive and in the Lambda assets alike.
"""

from textprep.features import FEATURES_VERSION, text_features
from textprep.language import HAN, LANGUAGES, Language, detect_language
from textprep.normalization import NormalizedText, normalize, normalize_with_offsets

__all__ = [
    "FEATURES_VERSION",
    "HAN",
    "LANGUAGES",
    "Language",
    "NormalizedText",
    "detect_language",
    "normalize",
    "normalize_with_offsets",
    "text_features",
]
