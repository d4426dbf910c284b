"""A small file of each format, and files that none may accept: what the readers are tested with."""

from __future__ import annotations

import json
import pickle

_CARS = [
    {
        "_id": f"{number:024x}",
        "clusterID": "0039",
        "connectionTime": f"Wed, 25 Apr 2018 1{number}:08:04 GMT",
        "disconnectTime": f"Thu, 26 Apr 2018 0{number}:20:10 GMT",
        "doneChargingTime": None,
        "kWhDelivered": 7.5,
        "sessionID": f"2_39_78_{number}",
        "siteID": "0002",
        "spaceID": f"CA-49{number}",
        "stationID": f"2-39-78-{number}",
        "timezone": "America/Los_Angeles",
        "userID": None if number else "000000022",
        "userInputs": None,
    }
    for number in range(2)
]

AVAILABILITY_EXAMPLES: dict[str, bytes] = {
    "csv": b"client,start,end\na,0,100\nb,50,9000\n",
    "stunner": b"u 1 1402358400000 2 3600000 1000 86400000\nv 0 1402358400000 2 3600000 1000 86400000\n",
    "flash": json.dumps(
        {"g": {"isSuccess": True, "trace_start": 0.0, "trace_end": 9e4, "ready_time": [[1, 2]]}}
    ).encode(),
    "fedscale": pickle.dumps(
        {1: {"duration": 1, "active": [1, 5], "inactive": [3, 9], "finish_time": 86400, "model": "m"}}, 3
    ),
    "skypilot": b'{"metadata": {"gap_seconds": 30}, "data": [0, 1, 1, 0]}',
    "bamboo-events": b"0,add,node1\n1000,remove,node1\n2000,add,node1\n",
    "bamboo-counts": b"0.000,0\n0.030,4\n0.050,2\n",
    "fta": (
        b"event_id node_id event_type event_start_time event_stop_time r\n0 5 1 1 9 NULL\n1 5 0 9 12 NULL\n"
    ),
    "avt": b"# node, intervals, start and end of each\nn1 2 0 7200 10800 90000\nn2 1 3600 86400\nn3 0\n",
    "google-machines": (
        b"0,5,0,hT+a=,0.5,0.25\n0,6,0,hT+a=,0.5,0.25\n700000000,6,1,hT+a=,,\n900000000,5,2,hT+a=,0.5,0.24\n"
    ),
    "alibaba-spot": (
        b"job_name,organization,gpu_model,cpu_request,gpu_request,worker_num,submit_time,duration,job_type\n"
        b"7,3,A10,8,1,1,0,90000,HP\n8,3,A10,8,1,2,600,3600,Spot\n9,4,H800,15,8,1,7200,4000,Spot\n"
    ),
    "acn": json.dumps({"_items": _CARS, "_meta": {"site": "example"}}, indent=1).encode(),
    "home-assistant": (
        b"entity_id,state,last_changed\n"
        b"person.ann,home,2025-03-01T00:00:00.000Z\nperson.ann,not_home,2025-03-01T07:30:00.000Z\n"
        b"binary_sensor.plug,off,2025-03-01T00:00:00.000Z\nbinary_sensor.plug,on,2025-03-01T06:00:00.000Z\n"
    ),
}
"""By name; "skypilot-inverted" looks like "skypilot", "acn-users" like "acn"."""

CARBON_EXAMPLES: dict[str, bytes] = {
    "csv": (b"time,zone,kind,g_per_kwh\n2023-01-01T00:00Z,A,direct,5\n2023-01-01T01:00Z,A,direct,6\n"),
    "electricitymaps": (
        b"Datetime (UTC),Zone Id,Carbon Intensity (direct)\n"
        b"2023-01-01 00:00:00,DE,5\n2023-01-01 01:00:00,DE,6\n"
    ),
    "electricitymaps-json": (
        b'{"zone": "DE", "history": [{"carbonIntensity": 5, "datetime": "2023-01-01T00:00:00Z"}, '
        b'{"carbonIntensity": 6, "datetime": "2023-01-01T01:00:00Z"}]}'
    ),
    "electricitymaps-dump": (
        b"datetime,zone_name,carbon_intensity_avg\n2023-01-01 00:00,DE,5\n2023-01-01 01:00,DE,6\n"
    ),
    "uk-api": (
        b'{"data":[{"from":"2023-03-15T12:00Z","to":"","intensity":{"forecast":1,"actual":2}},'
        b'{"from":"2023-03-15T12:30Z","to":"","intensity":{"forecast":1,"actual":3}}]}'
    ),
    "watttime": (
        b'[{"point_time":"2019-02-21T00:15:00.000Z","value":1062.0,"ba":"X"},'
        b'{"point_time":"2019-02-21T00:10:00.000Z","value":1060.0,"ba":"X"}]'
    ),
    "watttime-vessim": b"oootime,DE\n2023-01-01 00:00,5\n2023-01-01 00:05,6\n",
    "moer": b"time,moer,f1\n2019-04-30 00:00:00+00:00,0.1,0.2\n2019-04-30 00:05:00+00:00,0.1,0.2\n",
    "smard": b"Datum;Uhrzeit;Braunkohle[MWh]\n22.03.2020;00:00;1.200\n22.03.2020;00:15;1,3\n",
    "entsoe": (
        b'"Area","MTU","Solar  - Actual Aggregated [MW]"\n'
        b'"BE","01.04.2019 01:00 - 01.04.2019 02:00 (UTC)","5"\n'
        b'"BE","01.04.2019 02:00 - 01.04.2019 03:00 (UTC)","6"\n'
    ),
    "entsoe-library": (
        b"DateTime(UTC)\tResolutionCode\tAreaCode\tAreaDisplayName\tAreaTypeCode\tAreaMapCode\t"
        b"ProductionType\tActualGenerationOutput[MW]\tActualConsumption[MW]\tUpdateTime(UTC)\n"
        b"2025-01-01 00:00:00\tPT60M\t1\tX\tBZN\tX\tSolar\t5\t\t2025-01-02 00:00:00\n"
        b"2025-01-01 01:00:00\tPT60M\t1\tX\tBZN\tX\tSolar\t6\t\t2025-01-02 00:00:00\n"
    ),
    "eia-930": (
        b'"Balancing Authority","Data Date","UTC Time at End of Hour","Net Generation (MW) from Coal"\n'
        b'"ERCO","01/01/2024","01/01/2024 7:00:00 AM","1,000"\n'
        b'"ERCO","01/01/2024","01/01/2024 8:00:00 AM","1,100"\n'
    ),
    "energy-charts": (
        b'{"unix_seconds": [1735686000, 1735686900], "production_types": [{"name": "Load", "data": [9, 9]}, '
        b'{"name": "Fossil gas", "data": [5, 6.5]}], "deprecated": false}'
    ),
    "neso": (
        b"DATETIME,GAS,CARBON_INTENSITY,FOSSIL\n2025-01-01T00:00:00,5,120,5\n2025-01-01T00:30:00,5,121,5\n"
    ),
    "eco2mix": (
        b"P\xe9rim\xe8tre\tNature\tDate\tHeures\tConsommation\tTaux de Co2\n"
        b"France\tDonn\xe9es consolid\xe9es\t2025-01-06\t00:00\t60000\t20\n"
        b"France\tDonn\xe9es consolid\xe9es\t2025-01-06\t00:30\t60000\t21\n"
    ),
    "energinet": (
        b'{"total": 2, "dataset": "CO2Emis", "records": [{"Minutes5UTC": "2025-01-01T00:05:00", '
        b'"Minutes5DK": "2025-01-01T01:05:00", "PriceArea": "DK1", "CO2Emission": 61.0}, {"Minutes5UTC": '
        b'"2025-01-01T00:00:00", "Minutes5DK": "2025-01-01T01:00:00", "PriceArea": "DK1", '
        b'"CO2Emission": 60}]}'
    ),
    "lwa-production": b",Fossil Gas,Solar\n2020-01-01 00:00:00+00:00,5,6\n2020-01-01 01:00:00+00:00,5,6\n",
    "lwa": b"Time,Carbon Intensity\n2023-01-01 00:00:00,50\n2023-01-01 01:00:00,51\n",
    "carbon-aware-sdk": (
        b'[{"Location": "eu", "Time": "2021-10-25T14:50:00+00:00", "Rating": "9.5"}, '
        b'{"Location": "eu", "Time": "2021-10-25T15:50:00+00:00", "Rating": "9.6"}]'
    ),
    "citylearn": b"carbon_intensity\n0.1\n0.2\n",
}
"""By name."""

_DAY_HEADER = ",".join(map(str, range(1, 1441))).encode()

ARRIVAL_EXAMPLES: dict[str, bytes] = {
    "csv": b"# minutes,0,1440\n# clock,day\ntime,source,requests\n0,a,3\n60,b,2\n7200,a,1\n",
    "azure-llm": (
        b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n"
        b"2023-11-16 18:15:50.9951690,396,109\r\n2023-11-16 18:17:51.2225670,879,0\r\n"
    ),
    "burstgpt": (
        b"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        b"5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,230,1317,API log\n"
        b"118,GPT-4,417,0,417,Conversation log\n"
    ),
    "azure-functions-2019": (
        b"HashOwner,HashApp,HashFunction,Trigger,"
        + _DAY_HEADER
        + b"\no,a,f,http"
        + b",0,2,1" * 480
        + b"\no,a,g,timer"
        + b",1" * 1440
        + b"\no,b,h,queue"
        + b",0" * 1439
        + b",7\n"
    ),
    "azure-functions-2021": (
        b"app,func,end_timestamp,duration\n734272c0,313c03f5,60.142570018768,0.134\n"
        b"17c37a0f,c9f8e30e,61.280997037888,2.013\n734272c0,313c03f5,241.56,42.356\n"
    ),
    "mooncake": (
        b'{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}\n'
        b'{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}\n'
        b'{"timestamp": 65999, "input_length": 900, "output_length": 0, "hash_ids": [0, 28]}\n'
    ),
}
"""By name."""

HOSTILE: dict[str, bytes] = {
    "one null byte": b"\x00",
    "nulls": b"\x00" * 100,
    "not UTF-8": b"\xff\xfe" + "client,start,end\n".encode("utf-16-le"),
    "not really gzip": b"\x1f\x8bnot really gzip",
    "nested too deeply": b"[" * 100_000,
    "a number without end": b'{"data": ' + b"9" * 6000 + b"}",
    "an infinite number": b'{"metadata": {"gap_seconds": 1e999}, "data": [1]}',
    "a quote without end": b'client,start,end\n"a,0,1\n',
    "a pickle that calls": b"\x80\x03cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
}
"""Files that no format may accept, nor refuse with more than one line."""
