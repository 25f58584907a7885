BEGIN TRANSACTION;
CREATE TABLE correction (
    id TEXT NOT NULL PRIMARY KEY, asked_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    model TEXT NOT NULL, state TEXT NOT NULL, source TEXT NOT NULL DEFAULT '',
    events INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0,
    before TEXT NOT NULL DEFAULT '0', after TEXT NOT NULL DEFAULT '0',
    cursor_ms INTEGER NOT NULL DEFAULT 0, cursor_id TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE counter (
    family TEXT NOT NULL, labels TEXT NOT NULL, total TEXT NOT NULL, PRIMARY KEY (family, labels)
) WITHOUT ROWID;
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "", "cache_read"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "", "cache_write"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "", "input"]','10000000000000');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "", "other"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "", "output"]','210000000');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "search", "cache_read"]','4000000000');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "search", "cache_write"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "search", "input"]','10000000000');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "search", "other"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "big", "search", "output"]','2100000000');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "own", "", "cache_read"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "own", "", "cache_write"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "own", "", "input"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "own", "", "other"]','0');
INSERT INTO "counter" VALUES('llm_cost_usd_total','["acme", "own", "", "output"]','0');
INSERT INTO "counter" VALUES('llm_requests_total','["acme", "big", "", "cached"]','1');
INSERT INTO "counter" VALUES('llm_requests_total','["acme", "big", "", "ok"]','2');
INSERT INTO "counter" VALUES('llm_requests_total','["acme", "big", "", "rate_limited"]','1');
INSERT INTO "counter" VALUES('llm_requests_total','["acme", "big", "search", "ok"]','1');
INSERT INTO "counter" VALUES('llm_requests_total','["acme", "new", "", "ok"]','1');
INSERT INTO "counter" VALUES('llm_requests_total','["acme", "own", "", "ok"]','1');
INSERT INTO "counter" VALUES('llm_retries_total','["acme", "big", "rate_limited"]','1');
INSERT INTO "counter" VALUES('llm_token_detail_total','["acme", "big", "cache_read"]','4000');
INSERT INTO "counter" VALUES('llm_token_detail_total','["acme", "big", "reasoning"]','9');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "big", "", "input"]','1000000');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "big", "", "output"]','7');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "big", "search", "input"]','5000');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "big", "search", "output"]','70');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "new", "", "input"]','1000000');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "new", "", "output"]','7');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "own", "", "input"]','1000000');
INSERT INTO "counter" VALUES('llm_tokens_total','["acme", "own", "", "output"]','7');
INSERT INTO "counter" VALUES('llm_unpriced_requests_total','["acme", "big", "usage_missing"]','1');
INSERT INTO "counter" VALUES('llm_unpriced_requests_total','["acme", "new", "no_price_table"]','1');
INSERT INTO "counter" VALUES('llm_usage_missing_total','["acme", "big", "false"]','1');
CREATE TABLE dimension (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, value)) WITHOUT ROWID;
INSERT INTO "dimension" VALUES('environment','production');
INSERT INTO "dimension" VALUES('key_alias','batch-jobs');
INSERT INTO "dimension" VALUES('user_group','sales');
CREATE TABLE event (
    id TEXT NOT NULL, at_ms INTEGER, provider TEXT NOT NULL, model TEXT NOT NULL, feature TEXT NOT NULL, operation TEXT NOT NULL, outcome TEXT NOT NULL, tier TEXT NOT NULL, batch INTEGER, stream INTEGER, attempt INTEGER, duration_us INTEGER, first_token_us INTEGER, caller_cost INTEGER, price_status TEXT NOT NULL, price_reason TEXT NOT NULL, input INTEGER, output INTEGER, cache_read INTEGER, cache_write_5m INTEGER, cache_write_1h INTEGER, reasoning INTEGER, audio_in INTEGER, audio_out INTEGER, image_in INTEGER, cost_input INTEGER, cost_output INTEGER, cost_cache_read INTEGER, cost_cache_write INTEGER, cost_other INTEGER, key_alias TEXT NOT NULL DEFAULT '', user_group TEXT NOT NULL DEFAULT '', environment TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (id)
) WITHOUT ROWID;
INSERT INTO "event" VALUES('1',1795175940000,'acme','big','','','ok','',0,1,1,1250000,250000,NULL,'priced','',1000000,7,0,0,0,0,0,0,0,10000000000000,210000000,0,0,0,'','','production');
INSERT INTO "event" VALUES('2',1795175940000,'acme','big','search','','ok','',0,0,1,NULL,NULL,NULL,'priced','',5000,70,4000,0,0,9,0,0,0,10000000000,2100000000,4000000000,0,0,'batch-jobs','sales','production');
INSERT INTO "event" VALUES('3',1795175940000,'acme','new','','','ok','',0,0,1,NULL,NULL,NULL,'unpriced','no_price_table',1000000,7,0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,'','','production');
INSERT INTO "event" VALUES('4',1794916800000,'acme','big','','','ok','',0,0,1,NULL,NULL,5,'priced','',1000000,7,0,0,0,0,0,0,0,10000000000000,210000000,0,0,0,'','','production');
INSERT INTO "event" VALUES('5',1795175940000,'acme','big','','','cached','',0,0,1,NULL,NULL,NULL,'free','',1000000,7,0,0,0,0,0,0,0,0,0,0,0,0,'','','production');
INSERT INTO "event" VALUES('6',1795175940000,'acme','big','','','ok','',0,0,1,NULL,NULL,NULL,'unpriced','usage_missing',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'','','production');
INSERT INTO "event" VALUES('7',1795175940000,'acme','big','','','rate_limited','',0,0,2,NULL,NULL,NULL,'free','',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,'','','production');
INSERT INTO "event" VALUES('ä
8',1795175940000,'acme','own','','chat','ok','flex',1,0,1,NULL,NULL,NULL,'free','',1000000,7,0,0,0,0,0,0,0,0,0,0,0,0,'','','production');
CREATE TABLE fact (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "fact" VALUES('salt','00');
CREATE TABLE histogram (
    family TEXT NOT NULL, labels TEXT NOT NULL, counts TEXT NOT NULL, total TEXT NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
INSERT INTO "histogram" VALUES('llm_request_cost_usd','["acme", "big"]','[0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]','10016310000000');
INSERT INTO "histogram" VALUES('llm_request_duration_seconds','["acme", "big"]','[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]','1250000000');
INSERT INTO "histogram" VALUES('llm_time_per_output_token_seconds','["acme", "big"]','[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]','166666667');
INSERT INTO "histogram" VALUES('llm_time_to_first_token_seconds','["acme", "big"]','[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]','250000000');
CREATE TABLE spend (
    quarter INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, feature TEXT NOT NULL, key_alias TEXT NOT NULL, user_group TEXT NOT NULL, environment TEXT NOT NULL,
    requests INTEGER NOT NULL, unpriced INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL, reasoning INTEGER NOT NULL, audio_in INTEGER NOT NULL, audio_out INTEGER NOT NULL, image_in INTEGER NOT NULL, cost_input INTEGER NOT NULL, cost_output INTEGER NOT NULL, cost_cache_read INTEGER NOT NULL, cost_cache_write INTEGER NOT NULL, cost_other INTEGER NOT NULL,
    PRIMARY KEY (quarter, provider, model, feature, key_alias, user_group, environment)
) WITHOUT ROWID;
INSERT INTO "spend" VALUES(1994352,'acme','big','','','','production',1,0,1000000,7,0,0,0,0,0,0,0,10000000000000,210000000,0,0,0);
INSERT INTO "spend" VALUES(1994639,'acme','big','','','','production',4,1,1000000,7,0,0,0,0,0,0,0,10000000000000,210000000,0,0,0);
INSERT INTO "spend" VALUES(1994639,'acme','big','search','batch-jobs','sales','production',1,0,5000,70,4000,0,0,9,0,0,0,10000000000,2100000000,4000000000,0,0);
INSERT INTO "spend" VALUES(1994639,'acme','new','','','','production',1,1,1000000,7,0,0,0,0,0,0,0,0,0,0,0,0);
INSERT INTO "spend" VALUES(1994639,'acme','own','','','','production',1,0,1000000,7,0,0,0,0,0,0,0,0,0,0,0,0);
CREATE INDEX event_at ON event (at_ms);
COMMIT;
PRAGMA user_version = 2;
