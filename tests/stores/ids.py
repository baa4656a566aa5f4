"""Ids that are hard to tell apart, and to sort."""

ODD_IDS = (
    "0", "00", "0.0", "1e3", "1000", "-1", "A", "B", "Z", "a", "a ", "a  b", "aA", "ab", "b", "z", "~", "NULL", "'; --",
    '"', "%", "_", "\\", "é", "e\N{COMBINING ACUTE ACCENT}", "ß", "ss", "SS", "ÿ", "Ā", "İ", "i", "ﬁ",
    "\N{LATIN SMALL LETTER DOTLESS I}", "\N{ZERO WIDTH SPACE}", "\N{RIGHT-TO-LEFT OVERRIDE}x", "€", "\ud7ff", "\ue000",
    "\N{FULLWIDTH TILDE}", "\ufffd", "\uffff",
    "\U00010000", "😀", "😀😀", "\U0010ffff", "x" * 64, "😀" * 16, "é" * 32,
)  # fmt: skip
"""Ids that differ to the byte, among them those that other ways of comparing would sort otherwise or take for equal."""
