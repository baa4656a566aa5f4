-- invitation and grp are made anew with the body last, so that the other columns are read without it: sqlite reads
-- through a large body to what stands behind it, and at every start what each user takes is added up.
-- invitation gains one column:
--   size       bytes it takes, Invitation.size; of rows that stand, what their body says (size_of, see migrate.py)
-- grp gains one column:
--   maker      who made it, which never changes; of rows that stand, the owner their body names (maker_of, likewise)
-- blocklist: one row a user and somebody who may not ring them.
--   user       whose list, compared as bytes
--   blocked    who is on it, compared as bytes
--   mask       the device that seems to reject their calls
CREATE TABLE invitation_new (
    id INTEGER PRIMARY KEY,
    iid TEXT NOT NULL UNIQUE,
    inviter TEXT NOT NULL,
    n INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    due INTEGER,
    ended INTEGER,
    gid TEXT NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
);
INSERT INTO invitation_new
    SELECT id, iid, inviter, n, mark, due, ended, gid, size_of(body), body FROM invitation ORDER BY id;
DROP TABLE invitation;
ALTER TABLE invitation_new RENAME TO invitation;
CREATE INDEX invitation_due ON invitation (due) WHERE due IS NOT NULL;
CREATE INDEX invitation_unmarked ON invitation (id) WHERE mark < n;
CREATE INDEX invitation_ended ON invitation (ended) WHERE ended IS NOT NULL;
CREATE INDEX invitation_of_group ON invitation (gid, iid) WHERE ended IS NULL AND gid != '';
CREATE TABLE grp_new (
    id INTEGER PRIMARY KEY,
    gid TEXT NOT NULL UNIQUE,
    n INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    dismissed INTEGER,
    maker TEXT NOT NULL,
    body BLOB NOT NULL
);
INSERT INTO grp_new SELECT id, gid, n, mark, dismissed, maker_of(body), body FROM grp ORDER BY id;
DROP TABLE grp;
ALTER TABLE grp_new RENAME TO grp;
CREATE INDEX grp_unmarked ON grp (id) WHERE mark < n;
CREATE INDEX grp_dismissed ON grp (dismissed) WHERE dismissed IS NOT NULL;
CREATE TABLE blocklist (
    user TEXT NOT NULL,
    blocked TEXT NOT NULL,
    mask TEXT NOT NULL,
    PRIMARY KEY (user, blocked)
) WITHOUT ROWID;
