-- invitation: one row an invitation or tombstone.
--   iid      the id, compared as bytes
--   inviter  whose open invitations are counted
--   n        version, what compare-and-swap compares
--   mark     version up to which events were handed to the broker; mark < n only between commit and mark
--   due      store time (epoch ms) of the next action, NULL when over; pushed out by a lease while somebody acts
--   ended    store time of the end, NULL while open
--   body     the invitation, see record.py
-- party: one row a user and invitation the user has a part in (none for tombstones).
-- clock: one row, the store time of the newest commit; time never starts before it, whatever the machine's clock says.
CREATE TABLE invitation (
    id INTEGER PRIMARY KEY,
    iid TEXT NOT NULL UNIQUE,
    inviter TEXT NOT NULL,
    n INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    due INTEGER,
    ended INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX invitation_due ON invitation (due) WHERE due IS NOT NULL;
CREATE INDEX invitation_unmarked ON invitation (id) WHERE mark < n;
CREATE INDEX invitation_open ON invitation (inviter) WHERE ended IS NULL;
CREATE INDEX invitation_ended ON invitation (ended) WHERE ended IS NOT NULL;
CREATE TABLE party (
    user TEXT NOT NULL,
    iid TEXT NOT NULL,
    PRIMARY KEY (user, iid)
) WITHOUT ROWID;
CREATE TABLE clock (
    ms INTEGER NOT NULL
);
INSERT INTO clock VALUES (0);
