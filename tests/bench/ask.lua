-- What wrk asks: KIND KEY CUSTOMERS PAUSE. Of a read and of a batch the customers differ each time.

local kind, customers, pause
local headers = {["Content-Type"] = "application/json"}

function init(args)
    kind, customers, pause = args[1], tonumber(args[3]), tonumber(args[4])
    headers["Authorization"] = "Bearer " .. args[2]
    math.randomseed(7)
end

function request()
    if kind == "read" then
        return wrk.format("GET", "/v1/customers/" .. math.random(customers), headers)
    elseif kind == "batch" then
        local ids = {}
        for i = 1, 100 do ids[i] = math.random(customers) end
        return wrk.format("POST", "/v1/customers:batchGet", headers, '{"ids":[' .. table.concat(ids, ",") .. "]}")
    end
    return wrk.format("GET", "/", headers)
end

function delay()
    return pause  -- milliseconds
end

function done(summary, latency, requests)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format("\n{\"requests\": %d, \"microseconds\": %d, \"p50\": %d, \"p99\": %d, \"failed\": %d}\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed))
end
