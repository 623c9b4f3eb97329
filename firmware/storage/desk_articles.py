"""Questions and answers of the desk: articles with full-text search, in Chinese too.

SQLite's FTS5 cuts text at blanks, which Chinese has none of.  So each run of Han characters is indexed as its pairs of neighbours ("退款流程":
退款 款流 流程) and as single characters, and what is looked for is cut the same way and must stand in that order.  Other words are
looked for by their beginnings.  Ranking: bm25, the title counts most."""

import json
import re

from firmware.errors import LocalError
from firmware.storage.desk import transaction

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile("[%s]+|[^\\W_]+" % _HAN)
_IS_HAN = re.compile("[%s]" % _HAN)


def _runs(text):
    """Runs of Han characters and words of others."""
    found = []
    for run in _RUN.findall(text):
        found += [part for part in re.split("([%s]+)" % _HAN, run) if part]
    return found


def indexed(text):
    """A text as the index takes it."""
    words = []
    for run in _runs(text):
        if _IS_HAN.match(run):
            words += [run[i:i + 2] for i in range(len(run) - 1)] + (list(run) if len(run) > 1 else [run])
        else:
            words.append(run)
    return " ".join(words)


def asked(text):
    """A query for the index, or None where there is nothing to look for."""
    words = []
    for run in _runs(text)[:20]:
        if _IS_HAN.match(run):
            words.append('"%s"' % (" ".join(run[i:i + 2] for i in range(len(run) - 1)) if len(run) > 1 else run))
        else:
            words.append('"%s"*' % run)
    return " AND ".join(words) or None


def _row(row):
    return {"article": row[0], "revision": row[1], "changed_ms": row[2], "by": row[3], "language": row[4], "title": row[5], "body": row[6],
            "tags": json.loads(row[7])}


def get(db, article):
    """An article, or None."""
    row = db.execute("SELECT * FROM article WHERE id = ?", (article,)).fetchone()
    return _row(row) if row else None


def _index(db, article, columns, remove):
    values = (article, *map(indexed, columns))
    if remove:
        db.execute("INSERT INTO article_index (article_index, rowid, title, body, tags) VALUES ('delete', ?, ?, ?, ?)", values)
    else:
        db.execute("INSERT INTO article_index (rowid, title, body, tags) VALUES (?, ?, ?, ?)", values)


def put(db, article, given, by, now_ms, revision=None):
    """Write an article (None: a new one); returns (id, revision).  given: title body tags language.  Raises LocalError."""
    with transaction(db):
        before = get(db, article) if article is not None else None
        if article is not None and before is None:
            raise LocalError("there is no article %d" % article)
        if before and revision is not None and before["revision"] != revision:
            raise LocalError("article %d was changed meanwhile (revision %d, yours began from %d); load it again and repeat the change" % (
                article, before["revision"], revision))
        if before:
            _index(db, article, (before["title"], before["body"], " ".join(before["tags"])), True)
        new = before["revision"] + 1 if before else 1
        article = db.execute("INSERT OR REPLACE INTO article VALUES (?,?,?,?,?,?,?,?)", (
            article, new, now_ms, by, given["language"], given["title"], given["body"], json.dumps(given["tags"], ensure_ascii=False))).lastrowid
        _index(db, article, (given["title"], given["body"], " ".join(given["tags"])), False)
    return article, new


def remove(db, article):
    """Take an article away.  Raises LocalError where there is none."""
    with transaction(db):
        before = get(db, article)
        if before is None:
            raise LocalError("there is no article %d" % article)
        _index(db, article, (before["title"], before["body"], " ".join(before["tags"])), True)
        db.execute("DELETE FROM article WHERE id = ?", (article,))


def search(db, text=None, language=None, tag=None, limit=20):
    """Articles that fit, the best first; without a text the newest."""
    query = asked(text) if text else None
    if text and query is None:
        return []
    if query:
        rows = db.execute("SELECT a.* FROM article_index i JOIN article a ON a.id = i.rowid WHERE article_index MATCH ? "
                          "ORDER BY bm25(article_index, 8.0, 1.0, 4.0), a.id LIMIT 200", (query,)).fetchall()
    else:
        rows = db.execute("SELECT * FROM article ORDER BY changed_ms DESC, id DESC LIMIT 1000").fetchall()
    found = [_row(row) for row in rows]
    return [row for row in found if language in (None, row["language"]) and (tag is None or tag in row["tags"])][:limit]
