"""Okabe and Ito's colours, told apart by every common kind of colour vision; shapes differ as well."""

FRONT = "#0072B2"
KNEE = "#D55E00"
BASELINE = "#E69F00"
DOMINATED = "#8A8F94"
PLATEAU = "#56B4E9"
DIVERGED = "#CC3D7A"
PUBLISHED = "#5B4B8A"
INK = "#24292F"
MUTED = "#6B7178"
GRID = "#E7E9EC"
BAND = "#F4F5F7"
FRAME = "#B8BDC3"
# For lines that are told apart; Okabe and Ito's yellow is too faint on white.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#24292F")
FAINT = "#D3D7DB"
