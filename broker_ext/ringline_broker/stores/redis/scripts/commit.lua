-- Writes new versions of invitations, each only where the version it expects stands. Needs record.lua.
-- KEYS  1 clock  2 due  3 unmarked  4 over
--       then of each change: the record, what its inviter takes, with one shard also the index of its group, where it
--       has one, and the index of each party, where it is new
-- ARGV  1 store time, microseconds  2 the same, milliseconds  3 what the keys of this shard begin with
--       then of each change: iid, expected version, version, due or '', ticket, 1 where there is an index of its group,
--       number of indexes of parties, meta, body
-- Returns of each change 1 where it was written, else 0.
local KEYS_OF_CHANGE, ARGS_OF_CHANGE = 2, 9
local CLOCK, DUE, UNMARKED, OVER = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local NOW, BASE = ARGV[2], ARGV[3]

-- What several changes write to one key is gathered into one command: it costs more than what it writes. Of an id that
-- comes again all before it is written first.
local records, to_due, from_due, to_unmarked, to_over, from_over, gathered

local function gather()
  records, to_due, from_due = {'MSET'}, {'ZADD', DUE}, {'ZREM', DUE}
  to_unmarked, to_over, from_over = {'ZADD', UNMARKED}, {'ZADD', OVER}, {'ZREM', OVER}
  gathered = {}
end

local function add(command, one, other)
  command[#command + 1] = one
  command[#command + 1] = other
end

local function write_gathered()
  for _, command in ipairs({records, to_due, from_due, to_unmarked, to_over, from_over}) do
    if #command > 2 then
      redis.call(unpack(command))
    end
  end
end

local function count_usage(counts, old, inviter, size, is_open)
  if old and old.meta[1] == inviter then
    size, is_open = size - old.meta[2], is_open - (old.meta[3] and 0 or 1)
  elseif old then
    count_invitation(BASE .. 'c:' .. old.meta[1], -old.meta[2], old.meta[3] and 0 or -1)
  end
  count_invitation(counts, size, is_open)
end

local function index(old, iid, is_over, key, of_group, parties)
  if of_group == 1 then
    if not is_over then
      redis.call('ZADD', KEYS[key], 0, iid)
    elseif old then
      redis.call('ZREM', KEYS[key], iid)
    end
  end
  for at = key + of_group, key + of_group + parties - 1 do
    redis.call('ZADD', KEYS[at], 0, iid)
  end
end

local function change(key, arg)
  local iid, expected, n, due, ticket = ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2]), ARGV[arg + 3], ARGV[arg + 4]
  if gathered[iid] then
    write_gathered()
    gather()
  end
  local old = read(KEYS[key])
  if (old and old.n or 0) ~= tonumber(expected) then
    return 0
  end
  gathered[iid] = true
  local mark = old and old.mark or 0
  ticket = old and old.ticket or tonumber(ticket)
  local meta = cmsgpack.unpack(ARGV[arg + 7])
  local ended = meta[3]
  add(records, KEYS[key], packed(n, old, ticket, ARGV[arg + 7], ARGV[arg + 8]))
  count_usage(KEYS[key + 1], old, meta[1], meta[2], ended and 0 or 1)
  if due ~= '' then
    add(to_due, due, iid)
  elseif old then
    add(from_due, iid)
  end
  if old and old.meta[3] and not ended then
    add(from_over, over('0', ticket, iid))
  elseif ended then
    add(to_over, ended, over('0', ticket, iid))
  end
  if mark < n then
    add(to_unmarked, NOW, iid)
  end
  index(old, iid, ended, key + KEYS_OF_CHANGE, tonumber(ARGV[arg + 5]), tonumber(ARGV[arg + 6]))
  return 1
end

local written = {}
local key = 5
gather()
for arg = 4, #ARGV, ARGS_OF_CHANGE do
  written[#written + 1] = change(key, arg)
  key = key + KEYS_OF_CHANGE + tonumber(ARGV[arg + 5]) + tonumber(ARGV[arg + 6])
end
write_gathered()
move_clock(CLOCK, ARGV[1])
return written
