-- Reads the rows of one standing, by user id in byte order.
-- KEYS  1 the users of this standing  2 the group's rows
-- ARGV  1 where to begin, as ZRANGEBYLEX takes it  2 how many at most
-- Returns the rows.
local rows = {}
for at, user in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], '+', 'LIMIT', 0, ARGV[2])) do
  rows[at] = redis.call('HGET', KEYS[2], user)
end
return rows
