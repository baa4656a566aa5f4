-- Reads the invitations that are open and, where a time is given, those that ended after it. Needs record.lua.
-- KEYS  the records
-- ARGV  1 milliseconds, or '' for the open ones only
-- Returns of each the record, 0 where it is over and not asked for, nil where it is not there.
local since = tonumber(ARGV[1])
local found = {}
for at, key in ipairs(KEYS) do
  local record = read(key)
  if not record then
    found[at] = false
  elseif not record.meta[3] or (since and record.meta[3] > since) then
    found[at] = redis.call('GET', key)
  else
    found[at] = 0
  end
end
return found
