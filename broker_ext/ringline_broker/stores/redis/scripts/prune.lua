-- Takes hints out that led nowhere, unless they are so young that their record may still be on its way.
-- KEYS  1 the ids in byte order  2 when each was written last
-- ARGV  1 before when, milliseconds, then the ids
for at = 2, #ARGV do
  local written = redis.call('HGET', KEYS[2], ARGV[at])
  if not written or tonumber(written) < tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[2], ARGV[at])
    redis.call('ZREM', KEYS[1], ARGV[at])
  end
end
return #ARGV - 1
