-- Adds ids to an index of another shard's records. What it lists is a hint: whoever reads looks into the record.
-- KEYS  1 the ids in byte order  2 when each was written last
-- ARGV  1 now, milliseconds, then the ids
for at = 2, #ARGV do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[1])
  redis.call('ZADD', KEYS[1], 0, ARGV[at])
end
return #ARGV - 1
