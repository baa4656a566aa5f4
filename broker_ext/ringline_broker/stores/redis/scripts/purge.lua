-- Forgets what was over before a time, the oldest first. Needs record.lua.
-- KEYS  1 over  2 unmarked invitations  3 unmarked groups
-- ARGV  1 what the keys of this shard begin with  2 before, milliseconds  3 how many at most  4 '1' where there is one shard
-- Returns of each: '0' for an invitation or '1' for a group, its id, and with more shards the invitation's group and
-- parties, whose indexes are not here.
local BASE, INDEXED = ARGV[1], ARGV[4] == '1'
local ID_AT = 18 -- behind kind and ticket

-- These keys are not among KEYS. While the slot is moved, redis refuses those that are on the other side already: all are
-- touched before one is changed, so that what an id is in goes as a whole or not at all.
local function touch(keys)
  redis.call('EXISTS', unpack(keys))
end

local function forget_invitation(iid)
  local key = BASE .. 'i:' .. iid
  local record = read(key)
  local inviter, size, _, gid, parties = unpack(record.meta)
  local counts, indexes = BASE .. 'c:' .. inviter, {}
  for at, user in ipairs(INDEXED and parties or {}) do
    indexes[at] = BASE .. 'u:' .. user
  end
  touch({counts, unpack(indexes)})
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[2], iid)
  count_invitation(counts, -size, 0)
  for _, index in ipairs(indexes) do
    redis.call('ZREM', index, iid)
  end
  return INDEXED and {'0', iid} or {'0', iid, gid, parties}
end

local function forget_group(gid)
  local key = BASE .. 'g:' .. gid
  local record = read(key)
  local counts, last = BASE .. 'c:' .. record.meta[1], BASE .. 'f:' .. gid
  touch({counts, last})
  redis.call('DEL', key, last) -- its rows went when it was dismissed
  redis.call('ZREM', KEYS[3], gid)
  count(counts, 'g', -1)
  return {'1', gid}
end

local gone = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local kind, id = string.sub(member, 1, 1), string.sub(member, ID_AT)
  gone[#gone + 1] = kind == '0' and forget_invitation(id) or forget_group(id)
  redis.call('ZREM', KEYS[1], member) -- last: what was refused is forgotten the next time
end
return gone
