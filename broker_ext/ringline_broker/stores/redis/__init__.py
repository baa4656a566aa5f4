"""The distributed store: any number of processes share one redis or valkey server, Sentinel set-up or Cluster.

Keys begin with `PREFIX:{sNN}:` or `PREFIX:{sNN.K}:`; NN is the shard of the id or user that the key is about, by CRC-32
modulo `shards`, and K has the shards' slots spread evenly. All keys of a shard lie in one slot, and a script touches
one shard only.

    clock           string  the newest store time a process had when it committed or looked at the time, microseconds
    layout          string  number of this layout and of the shards, so that nobody reads it otherwise
    seen            string  written before a WAIT
    doctor:TOKEN    string  for a moment, where `ringline doctor` tries to write
    due             zset    iid by when it is due
    unmarked:i, :g  zset    id by when it was committed or claimed, of invitations and groups whose mark is behind
    over            zset    kind, ticket and id by when it ended, of invitations and groups
    i:IID  g:GID    string  a record, see scripts/record.lua
    c:USER          hash    what the user takes of this shard: o open, b bytes, g groups; what is 0 is mostly not there
    u:USER  o:GID   zset    iids of a user's invitations, of the open ones of a group
    m:USER          zset    gids of the groups a user is a member of
    p:GID           hash    a group's rows by user, each behind a letter for its standing
    s:LETTER:GID    zset    users of a standing
    f:GID           zset    users who were members when the group was dismissed
    b:USER  bo:USER hash, zset  a user's blocklist: masks by user; its users
    ut:USER ot:GID mt:USER  hash  with more shards than one: when each hint of u:, o:, m: was written

A ticket is a number that orders ids by when they were first written.
"""
