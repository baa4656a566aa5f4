-- last_member: who was a member of a group when it was dismissed, until the group is forgotten: they are to hear of it.
--   gid        the group
--   user       the user, compared as bytes
CREATE TABLE last_member (gid TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (gid, user)) WITHOUT ROWID;
