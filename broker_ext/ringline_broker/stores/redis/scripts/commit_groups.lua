-- Writes new versions of groups with their rows, each only where the version it expects stands. Needs record.lua.
-- KEYS  1 clock  2 unmarked groups  3 over
--       then of each change: the record, its rows, what its maker takes, its members, applicants, banned and left by
--       user, its last members, and with one shard the groups of each user whose row is put or dropped
-- ARGV  1 store time, microseconds  2 the same, milliseconds  3 what the keys of this shard begin with
--       4 '1' where there is one shard
--       then of each change: gid, expected version, version, when dismissed or '', ticket, meta, body,
--       number of rows to put, number of rows to drop, of each to put user, standing and row, of each to drop user
-- A row begins with its standing: m, a, b or l.
-- Returns of each change 1 where it was written, else 0.
local KEYS_OF_CHANGE, ARGS_OF_CHANGE, ARGS_OF_ROW = 8, 9, 3
local CLOCK, UNMARKED, OVER = KEYS[1], KEYS[2], KEYS[3]
local NOW, BASE, INDEXED = ARGV[2], ARGV[3], ARGV[4] == '1'
local LAST = 7 -- where, behind the record, the last members are
local SETS = {m = 3, a = 4, b = 5, l = 6} -- where, behind the record, the users of a standing are

local function put(key, gid, user, standing, row, groups)
  local old = string.sub(redis.call('HGET', KEYS[key + 1], user) or '', 1, 1)
  redis.call('HSET', KEYS[key + 1], user, row)
  if old ~= standing then
    if old ~= '' then
      redis.call('ZREM', KEYS[key + SETS[old]], user)
    end
    redis.call('ZADD', KEYS[key + SETS[standing]], 0, user)
  end
  if INDEXED and standing == 'm' then
    redis.call('ZADD', groups, 0, gid)
  elseif INDEXED and old == 'm' then
    redis.call('ZREM', groups, gid)
  end
end

local function drop(key, gid, user, groups)
  local old = string.sub(redis.call('HGET', KEYS[key + 1], user) or '', 1, 1)
  if old == '' then
    return
  end
  redis.call('HDEL', KEYS[key + 1], user)
  redis.call('ZREM', KEYS[key + SETS[old]], user)
  if INDEXED and old == 'm' then
    redis.call('ZREM', groups, gid)
  end
end

local function drop_all(key, gid)
  if INDEXED then
    for _, user in ipairs(redis.call('ZRANGE', KEYS[key + SETS.m], 0, -1)) do
      redis.call('ZREM', BASE .. 'm:' .. user, gid)
    end
  end
  if redis.call('EXISTS', KEYS[key + SETS.m]) == 1 then
    redis.call('RENAME', KEYS[key + SETS.m], KEYS[key + LAST])
  end
  redis.call('DEL', KEYS[key + 1], KEYS[key + 4], KEYS[key + 5], KEYS[key + 6])
end

local function change(key, arg, puts, drops)
  local gid, n, dismissed = ARGV[arg], tonumber(ARGV[arg + 2]), ARGV[arg + 3]
  local old = read(KEYS[key])
  if (old and old.n or 0) ~= tonumber(ARGV[arg + 1]) then
    return 0
  end
  local mark = old and old.mark or 0
  local ticket = old and old.ticket or tonumber(ARGV[arg + 4])
  redis.call('SET', KEYS[key], packed(n, old, ticket, ARGV[arg + 5], ARGV[arg + 6]))
  if not old then
    count(KEYS[key + 2], 'g', 1)
  end
  if mark < n then
    redis.call('ZADD', UNMARKED, NOW, gid)
  end
  if old and old.meta[2] then
    redis.call('DEL', KEYS[key + LAST])
    if dismissed == '' then
      redis.call('ZREM', OVER, over('1', ticket, gid))
    end
  end
  if dismissed ~= '' then
    redis.call('ZADD', OVER, dismissed, over('1', ticket, gid))
    drop_all(key, gid)
    return 1
  end
  local row, groups = arg + ARGS_OF_CHANGE, key + KEYS_OF_CHANGE
  for at = 0, puts - 1 do
    local user = row + at * ARGS_OF_ROW
    put(key, gid, ARGV[user], ARGV[user + 1], ARGV[user + 2], KEYS[groups + at])
  end
  row, groups = row + puts * ARGS_OF_ROW, groups + puts
  for at = 0, drops - 1 do
    drop(key, gid, ARGV[row + at], KEYS[groups + at])
  end
  return 1
end

local written = {}
local key, arg = 4, 5
while arg <= #ARGV do
  local puts, drops = tonumber(ARGV[arg + 7]), tonumber(ARGV[arg + 8])
  written[#written + 1] = change(key, arg, puts, drops)
  key = key + KEYS_OF_CHANGE + (INDEXED and puts + drops or 0)
  arg = arg + ARGS_OF_CHANGE + puts * ARGS_OF_ROW + drops
end
move_clock(CLOCK, ARGV[1])
return written
