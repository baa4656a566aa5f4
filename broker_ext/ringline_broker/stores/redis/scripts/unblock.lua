-- Takes users off a blocklist.
-- KEYS  1 the list: user and mask  2 its users in byte order
-- ARGV  the users
for _, user in ipairs(ARGV) do
  redis.call('HDEL', KEYS[1], user)
  redis.call('ZREM', KEYS[2], user)
end
return #ARGV
