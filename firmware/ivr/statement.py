"""Placeholders of SQL statements: `:name` outside of texts, quoted names and comments.

    parts("select a from t where b = :account and c = 'x:y'") -> [("text", "select a ..."), ("name", "account"), ("text", ...)]

`::` is PostgreSQL's cast, no placeholder.
"""

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"


def parts(statement):
    """[("text", octets as they stand) or ("name", name)] of a statement."""
    found, plain, at = [], "", 0
    while at < len(statement):
        character = statement[at]
        end = at + 1
        if character in "'\"`":
            while end < len(statement) and statement[end] != character:
                end += 2 if statement[end] == "\\" and character != "`" else 1
            end += 1
        elif statement[at:at + 2] == "--" or character == "#" and statement[at + 1:at + 2] in ("", " "):
            while end < len(statement) and statement[end] != "\n":
                end += 1
        elif statement[at:at + 2] == "/*":
            close = statement.find("*/", at + 2)
            end = len(statement) if close < 0 else close + 2
        elif statement[at:at + 2] == "::":
            end = at + 2
        elif character == ":" and end < len(statement) and statement[end] in LETTERS:
            while end < len(statement) and (statement[end] in LETTERS or statement[end] in "0123456789"):
                end += 1
            found += [("text", plain), ("name", statement[at + 1:end])]
            plain, at = "", end
            continue
        plain += statement[at:end]
        at = end
    return [part for part in found + [("text", plain)] if part[1]]


def names(statement):
    """Names of the placeholders, sorted, each once."""
    return sorted(set([text for kind, text in parts(statement) if kind == "name"]))
