-- Moves marks: each goes forward, and over no event that was not handed over.
-- KEYS  1 unmarked, then the record of each mark (see record.lua)
-- ARGV  of each mark: id, from, to
local MARK_AT = 4
local marked = {'ZREM', KEYS[1]}
for at = 2, #KEYS do
  local arg = at * 3 - 5
  local head = redis.call('GETRANGE', KEYS[at], 0, 7)
  if head ~= '' then
    local n, mark = struct.unpack('>I4I4', head)
    local to = tonumber(ARGV[arg + 2])
    if mark >= tonumber(ARGV[arg + 1]) and mark < to then
      redis.call('SETRANGE', KEYS[at], MARK_AT, struct.pack('>I4', to))
      if to >= n then
        marked[#marked + 1] = ARGV[arg]
      end
    end
  end
end
if #marked > 2 then
  redis.call(unpack(marked))
end
return #KEYS - 1
