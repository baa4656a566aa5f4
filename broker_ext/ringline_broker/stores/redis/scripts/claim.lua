-- Claims what is due or was left unmarked, the earliest first, by pushing it out.
-- KEYS  1 the ids by time
-- ARGV  1 up to when, milliseconds  2 to when they are pushed out  3 how many at most
-- Returns the ids.
local claimed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, iid in ipairs(claimed) do
  redis.call('ZADD', KEYS[1], ARGV[2], iid)
end
return claimed
