-- Moves marks: each goes forward, and over no event that was not handed over; one that is ahead is remembered.
-- KEYS  1 unmarked, then the record of each mark (see record.lua)
-- ARGV  of each mark: id, since, to
local MARK_AT, TO_BYTES = 4, 16

-- As Handed.after in marks.py; nil where nothing changes.
local function after(mark, since, to, one_since, one_to, n)
  if one_to > n or one_to <= mark then
    return nil
  elseif one_since <= mark then
    mark = one_to
  elseif to > 0 and one_since <= to and since <= one_to then
    since, to = math.min(since, one_since), math.max(to, one_to)
  elseif to == 0 or one_since < since then
    since, to = one_since, one_to
  end
  if to > 0 and since <= mark then
    return math.max(mark, to), 0, 0
  end
  return mark, since, to
end

local marked = {'ZREM', KEYS[1]}
for at = 2, #KEYS do
  local arg = at * 3 - 5
  local head = redis.call('GETRANGE', KEYS[at], 0, TO_BYTES - 1)
  if head ~= '' then
    local n, mark, since, to = struct.unpack('>I4I4I4I4', head)
    mark, since, to = after(mark, since, to, tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2]), n)
    if mark then
      redis.call('SETRANGE', KEYS[at], MARK_AT, struct.pack('>I4I4I4', mark, since, to))
      if mark >= n then
        marked[#marked + 1] = ARGV[arg]
      end
    end
  end
end
if #marked > 2 then
  redis.call(unpack(marked))
end
return #KEYS - 1
