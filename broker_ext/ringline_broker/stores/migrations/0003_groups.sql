-- invitation gains one column:
--   gid        the group it was made in, '' for none
-- grp: one row a group, also for a while after it was dismissed.
--   gid        the id, compared as bytes
--   n          version, what compare-and-swap compares
--   mark       version up to which events were handed to the broker and what follows from them was done; mark < n only
--              between commit and mark
--   dismissed  store time (epoch ms) of the end, NULL while it stands
--   body       the group, see group_record.py
-- person: one row a user who is something to a group; none for groups that were dismissed.
--   gid        the group
--   user       the user, compared as bytes
--   standing   member, applicant or banned
--   body       the person, see group_record.py
ALTER TABLE invitation ADD COLUMN gid TEXT NOT NULL DEFAULT '';
CREATE INDEX invitation_of_group ON invitation (gid, iid) WHERE ended IS NULL AND gid != '';
CREATE TABLE grp (
    id INTEGER PRIMARY KEY,
    gid TEXT NOT NULL UNIQUE,
    n INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    dismissed INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX grp_unmarked ON grp (id) WHERE mark < n;
CREATE INDEX grp_dismissed ON grp (dismissed) WHERE dismissed IS NOT NULL;
CREATE TABLE person (
    gid TEXT NOT NULL,
    user TEXT NOT NULL,
    standing TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (gid, user)
) WITHOUT ROWID;
CREATE INDEX person_standing ON person (gid, standing, user);
CREATE INDEX person_member ON person (user, gid) WHERE standing = 'member';
