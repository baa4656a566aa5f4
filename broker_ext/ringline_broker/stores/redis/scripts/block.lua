-- Adds to a blocklist, where it does not become too long. Who is on it already stays as they were.
-- KEYS  1 the list: user and mask  2 its users in byte order
-- ARGV  1 how many it may have, then of each user to add: user, mask
-- Returns 1 where it was done, else 0.
local new = {}
for at = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[at]) == 0 then
    new[#new + 1] = at
  end
end
if #new > 0 and redis.call('HLEN', KEYS[1]) + #new > tonumber(ARGV[1]) then
  return 0
end
for _, at in ipairs(new) do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  redis.call('ZADD', KEYS[2], 0, ARGV[at])
end
return 1
