-- Open invitations are counted in memory; nothing reads this index any more.
DROP INDEX invitation_open;
