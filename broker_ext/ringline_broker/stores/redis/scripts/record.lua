-- How a record lies in its string, for the scripts that look into one; this file stands before each of them.
--   4 bytes version; 4 bytes each mark, since and to (see Handed in marks.py); 8 bytes ticket; 4 bytes length of meta;
--   then meta, then the body (see values.py)
-- meta is a MessagePack array:
--   of an invitation  inviter, size, when it ended or false, group or '', parties (none for a tombstone)
--   of a group        maker, when it was dismissed or false
local HEAD = '>I4I4I4I4I8I4'
local HEAD_BYTES = 28
local AT_FIRST = 256 -- bytes to read; mostly meta is no longer

local function read(key)
  local text = redis.call('GETRANGE', key, 0, AT_FIRST - 1)
  if text == '' then
    return nil
  end
  local n, mark, since, to, ticket, length = struct.unpack(HEAD, text)
  if #text < HEAD_BYTES + length then
    text = redis.call('GETRANGE', key, 0, HEAD_BYTES + length - 1)
  end
  return {
    n = n, mark = mark, since = since, to = to, ticket = ticket,
    meta = cmsgpack.unpack(string.sub(text, HEAD_BYTES + 1, HEAD_BYTES + length)),
  }
end

-- A new version, which leaves what was handed over of the old one, if any.
local function packed(n, old, ticket, meta, body)
  local mark, since, to = 0, 0, 0
  if old then
    mark, since, to = old.mark, old.since, old.to
  end
  return struct.pack(HEAD, n, mark, since, to, ticket, #meta) .. meta .. body
end

-- What is over, in the order it is forgotten: of those that ended at once first the invitations, by age.
local function over(kind, ticket, id)
  return string.format('%s%016.0f', kind, ticket) .. id
end

local function count(key, field, by)
  if by ~= 0 and redis.call('HINCRBY', key, field, by) == 0 then
    redis.call('HDEL', key, field)
  end
end

-- Without bytes there are no invitations; before that, an `o` that is 0 may stay.
local function count_invitation(key, bytes, is_open)
  if is_open ~= 0 then
    redis.call('HINCRBY', key, 'o', is_open)
  end
  if bytes ~= 0 and redis.call('HINCRBY', key, 'b', bytes) == 0 then
    redis.call('HDEL', key, 'b', 'o')
  end
end

local function move_clock(key, now)
  if tonumber(now) > tonumber(redis.call('GET', key) or 0) then
    redis.call('SET', key, now)
  end
end
