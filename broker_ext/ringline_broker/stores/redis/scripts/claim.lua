-- Claims what is due, the earliest first, by pushing it out by one lease.
-- KEYS  1 due
-- ARGV  1 now, milliseconds  2 until when it is claimed  3 how many at most
-- Returns the ids.
local claimed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, iid in ipairs(claimed) do
  redis.call('ZADD', KEYS[1], ARGV[2], iid)
end
return claimed
