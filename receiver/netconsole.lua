-- Wireshark dissector of netconsole: basic, extended with fragments, and the ncrx protocol.
--   wireshark -X lua_script:netconsole.lua        tshark -X lua_script:netconsole.lua -Y netconsole.level<=3 …
-- UDP port 6666, and the extended format and ncrx on any port by their look.

local proto = Proto("netconsole", "Netconsole")

local levels = {
    [0] = "emergency", [1] = "alert", [2] = "critical", [3] = "error",
    [4] = "warning", [5] = "notice", [6] = "info", [7] = "debug",
}
local PORT = 6666
local RECORD_BYTES = 131072 -- a longer record is not put together
local LEVELS_OF_FACILITY = 8

local f = {
    format = ProtoField.string("netconsole.format", "Format"),
    release = ProtoField.string("netconsole.release", "Kernel release"),
    level = ProtoField.uint8("netconsole.level", "Level", base.DEC, levels),
    facility = ProtoField.uint8("netconsole.facility", "Facility"),
    sequence = ProtoField.uint64("netconsole.sequence", "Sequence"),
    timestamp = ProtoField.uint64("netconsole.timestamp", "Timestamp (µs)"),
    flag = ProtoField.string("netconsole.flag", "Flag"),
    held = ProtoField.uint64("netconsole.held", "Held back before it"),
    behind = ProtoField.uint64("netconsole.behind", "Held back after it"),
    emergency = ProtoField.bool("netconsole.emergency", "Emergency transmission"),
    offset = ProtoField.uint32("netconsole.fragment.offset", "Fragment offset"),
    total = ProtoField.uint32("netconsole.fragment.total", "Record bytes"),
    header_field = ProtoField.string("netconsole.header_field", "Header field"),
    fragment_data = ProtoField.string("netconsole.fragment.data", "Fragment"),
    reassembled_in = ProtoField.framenum("netconsole.reassembled_in", "Record complete in frame"),
    text = ProtoField.string("netconsole.text", "Text"),
    field = ProtoField.string("netconsole.field", "Field"),
    ack = ProtoField.uint64("netconsole.ncrx.ack", "Acknowledged"),
    missing = ProtoField.uint64("netconsole.ncrx.missing", "Missing"),
}
proto.fields = f

local malformed = ProtoExpert.new("netconsole.malformed", "Fragment outside its record", expert.group.MALFORMED,
    expert.severity.WARN)
proto.experts = { malformed }

-- Records in parts, by sender, sequence, time and length; and the frame in which each became whole.
local records = {}

function proto.init()
    records = {}
end

-- Lua's own numbers are exact to 2^53 only.
local function uint64(digits)
    local value = UInt64.new(0)
    for digit in digits:gmatch("%d") do
        value = value * 10 + tonumber(digit)
    end
    return value
end

local function unescape(text)
    return (text:gsub("\\x(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The parts of an extended header, or nil. Positions are of the datagram, from 0.
local function parse(data)
    local stop = data:find(";", 1, true)
    if not stop or stop > 512 then
        return nil
    end
    local head, at = data:sub(1, stop - 1), 1
    local pattern = "^(%d+),(%d+),(%d+),([-c+])(.*)$"
    local priority, sequence, timestamp, flag, extras = head:match(pattern)
    local release
    if not priority then
        release, at = head:match("^([^,]*),()")
        if not release then
            return nil
        end
        priority, sequence, timestamp, flag, extras = head:sub(at):match(pattern)
        if not priority then
            return nil
        end
    end
    if (extras ~= "" and extras:sub(1, 1) ~= ",") or #priority > 4 or #sequence > 20 or #timestamp > 20 then
        return nil
    end
    return {
        release = release, priority = priority, sequence = sequence, timestamp = timestamp, flag = flag,
        extras = extras, start = at - 1, body = stop,
    }
end

-- Keeps a fragment at the first pass; gives the record's entry.
local function collect(pinfo, header, offset, total, body)
    local key = table.concat({ tostring(pinfo.src), pinfo.src_port, header.sequence, header.timestamp, total }, " ")
    local record = records[key]
    if not record then
        record = { parts = {} }
        records[key] = record
    end
    if pinfo.visited or record.frame then
        return record
    end
    if not record.parts[offset] or #record.parts[offset] < #body then
        record.parts[offset] = body
    end
    local offsets = {}
    for start in pairs(record.parts) do
        offsets[#offsets + 1] = start
    end
    table.sort(offsets)
    local whole = ""
    for _, start in ipairs(offsets) do
        if start > #whole then
            return record
        end
        whole = whole .. record.parts[start]:sub(#whole - start + 1)
    end
    if #whole >= total then
        record.frame, record.whole = pinfo.number, whole
    end
    return record
end

local function add_body(tree, range, body)
    local text, rest = body:match("^([^\n]*)\n?(.*)$")
    text = unescape(text)
    tree:add(f.text, range, text)
    for line in rest:gmatch("[^\n]+") do
        if line:sub(1, 1) == " " then
            tree:add(f.field, range, unescape(line:sub(2)))
        end
    end
    return text
end

local function dissect_extended(buffer, pinfo, tree, header)
    local at = header.start
    local function take(digits)
        local range = buffer(at, #digits)
        at = at + #digits + 1
        return range
    end
    tree:add(f.format, buffer(0, header.body), "extended")
    if header.release then
        tree:add(f.release, buffer(0, #header.release), header.release)
    end
    local priority = tonumber(header.priority)
    local range = take(header.priority)
    tree:add(f.level, range, priority % LEVELS_OF_FACILITY)
    tree:add(f.facility, range, math.floor(priority / LEVELS_OF_FACILITY))
    tree:add(f.sequence, take(header.sequence), uint64(header.sequence))
    tree:add(f.timestamp, take(header.timestamp), uint64(header.timestamp))
    tree:add(f.flag, take(header.flag), header.flag)

    local offset, total
    for extra in header.extras:gmatch("[^,]+") do
        range = take(extra)
        local key, value = extra:match("^([^=]*)=(.*)$")
        if key == "ncfrag" and value:match("^%d+/%d+$") then
            offset, total = value:match("^(%d+)/(%d+)$")
            offset, total = tonumber(offset), tonumber(total)
            tree:add(f.offset, range, offset)
            tree:add(f.total, range, total)
        elseif key == "held" and value:match("^%d+$") then
            tree:add(f.held, range, uint64(value))
        elseif key == "behind" and value:match("^%d+$") then
            tree:add(f.behind, range, uint64(value))
        elseif key == "ncemg" then
            tree:add(f.emergency, range, value ~= "0")
        else
            tree:add(f.header_field, range, extra)
        end
    end

    local length = buffer:len() - header.body
    local rest = length > 0 and buffer(header.body, length) or buffer(header.body - 1, 1)
    local body = length > 0 and rest:raw() or ""
    local text
    if offset then
        if total > RECORD_BYTES or offset + length > total then
            tree:add_proto_expert_info(malformed)
            text = "malformed fragment"
        else
            local record = collect(pinfo, header, offset, total, body)
            tree:add(f.fragment_data, rest, body)
            if record.frame == pinfo.number then
                text = add_body(tree, rest, record.whole)
            else
                if record.frame then
                    tree:add(f.reassembled_in, record.frame):set_generated()
                end
                text = "fragment " .. offset .. "/" .. total
            end
        end
    else
        text = add_body(tree, rest, body)
    end
    pinfo.cols.info = header.sequence .. " <" .. priority % LEVELS_OF_FACILITY .. "> " .. text
end

local function dissect_ncrx(buffer, pinfo, tree, data)
    pinfo.cols.info = data
    tree:add(f.format, buffer(0, 4), "ncrx")
    local field = f.ack
    for start, digits in data:gmatch("()(%d+)") do
        tree:add(field, buffer(start - 1, #digits), uint64(digits))
        field = f.missing
    end
end

local function is_ncrx(data)
    return data:match("^ncrx%d+[ %d]*\n?$") ~= nil
end

function proto.dissector(buffer, pinfo, root)
    if buffer:len() == 0 then
        return 0
    end
    local data = buffer():raw()
    pinfo.cols.protocol = "netconsole"
    local tree = root:add(proto, buffer())
    local header = parse(data)
    if header then
        dissect_extended(buffer, pinfo, tree, header)
    elseif is_ncrx(data) then
        dissect_ncrx(buffer, pinfo, tree, data)
    else
        local text = data:gsub("\n$", "")
        tree:add(f.format, buffer(), "basic")
        tree:add(f.text, buffer(), text)
        pinfo.cols.info = text
    end
    return buffer:len()
end

proto:register_heuristic("udp", function(buffer, pinfo, root)
    if buffer:len() == 0 then
        return false
    end
    local data = buffer():raw()
    if not parse(data) and not is_ncrx(data) then
        return false
    end
    proto.dissector(buffer, pinfo, root)
    return true
end)
DissectorTable.get("udp.port"):add(PORT, proto)
