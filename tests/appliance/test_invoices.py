"""Providers' exports, in the shapes that their documentation and their dashboards have."""

import json
from pathlib import Path
from typing import Any

import pytest
from topmast.errors import InputError
from topmast.invoices import Line, period, read

PICO = 10**12
DAY = 1_790_553_600.0  # 2026-09-28T00:00:00Z


def bucket(
    *results: Any, start: Any = DAY, end: Any = DAY + 86_400, names: tuple[str, str] = ("start_time", "end_time")
):
    page = {"object": "page", "data": [{names[0]: start, names[1]: end, "results": list(results)}]}
    return json.dumps({**page, "has_more": False, "next_page": None})


ANTHROPIC = {"start": "2026-09-28T00:00:00Z", "end": "2026-09-29T00:00:00Z", "names": ("starting_at", "ending_at")}


@pytest.mark.parametrize(
    ("provider", "text", "wanted"),
    [
        pytest.param(
            "openai",
            bucket(
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": 1000,
                    "output_tokens": 500,
                    "input_cached_tokens": 800,
                    "num_model_requests": 5,
                    "project_id": "proj_abc",
                    "api_key_id": "key_abc",
                    "model": "gpt-4o-mini-2024-07-18",
                    "batch": False,
                }
            ),
            Line(DAY, DAY + 86_400, "openai", "gpt-4o-mini-2024-07-18", "key_abc", 5, 1000, 500),
            id="OpenAI's usage API",
        ),
        pytest.param(
            "openai",
            bucket(
                {
                    "object": "organization.costs.result",
                    "amount": {"value": 0.06, "currency": "usd"},
                    "line_item": "gpt-4o-mini-2024-07-18, cached input",
                    "project_id": None,
                }
            ),
            Line(DAY, DAY + 86_400, "openai", "gpt-4o-mini-2024-07-18", cost=6 * PICO // 100),
            id="OpenAI's costs API",
        ),
        pytest.param(
            "openai",
            "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,"
            "user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source\n"
            "1790467200,1790553600,2026-09-27T00:00:00+00:00,2026-09-28T00:00:00+00:00,,,,,,,,,,,,,\n"
            "1790553600,1790640000,2026-09-28T00:00:00,2026-09-29T00:00:00,0.003835980000000000,usd,,,"
            '"gpt-4.1-2025-04-14, output",,key_1,,org,,Org,someone@example.com,\n',
            Line(DAY, DAY + 86_400, "openai", "gpt-4.1-2025-04-14", "key_1", cost=3_835_980_000),
            id="OpenAI's CSV of costs",
        ),
        pytest.param(
            "openai",
            "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
            "service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
            "1790553600,1790553660,2026-09-28T00:00:00+00:00,2026-09-28T00:01:00+00:00,proj_1,3.0,,key_1,gpt-4o,False,"
            "default,4212,1673,1280,2932\n",
            Line(DAY, DAY + 60, "openai", "gpt-4o", "key_1", 3, 4212, 1673),
            id="OpenAI's CSV of usage, by the minute",
        ),
        pytest.param(
            "anthropic",
            bucket(
                {
                    "uncached_input_tokens": 1500,
                    "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
                    "cache_read_input_tokens": 200,
                    "output_tokens": 500,
                    "server_tool_use": {"web_search_requests": 10},
                    "api_key_id": "apikey_1",
                    "model": "claude-sonnet-4-5-20250929",
                    "service_tier": "standard",
                },
                **ANTHROPIC,
            ),
            Line(DAY, DAY + 86_400, "anthropic", "claude-sonnet-4-5-20250929", "apikey_1", None, 3200, 500),
            id="Anthropic's usage API",
        ),
        pytest.param(
            "anthropic",
            bucket({"currency": "USD", "amount": "123.78912", "model": "claude-opus-4-5"}, **ANTHROPIC),
            Line(DAY, DAY + 86_400, "anthropic", "claude-opus-4-5", cost=1_237_891_200_000),
            id="Anthropic's cost API, in cents",
        ),
        pytest.param(
            "anthropic",
            "\ufeffusage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
            "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
            "usage_output_tokens,web_search_count,inference_geo,speed\n"
            "2026-09-28,claude-opus-5,Closer App,Default,standard,≤ 200k,46981,15969,0,7,16932,0,global,\n",
            Line(DAY, DAY + 86_400, "anthropic", "claude-opus-5", "Closer App", None, 46981 + 15969 + 7, 16932),
            id="the Console's CSV of usage",
        ),
        pytest.param(
            "anthropic",
            "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,"
            "cost_type,inference_geo,speed\n"
            "2026-09-28,Claude Haiku 4.5,Default,k,message,≤ 200k,input_no_cache,0.19,0.19,token,,\n",
            Line(DAY, DAY + 86_400, "anthropic", "claude-haiku-4-5", "k", cost=19 * PICO // 100),
            id="the Console's CSV of costs",
        ),
        pytest.param(
            "litellm",
            json.dumps(
                [
                    {
                        "request_id": "chatcmpl-1",
                        "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
                        "spend": 0.000123,
                        "prompt_tokens": 20,
                        "completion_tokens": 10,
                        "startTime": "2026-09-28T00:00:00Z",
                        "model": "openai/gpt-4o",
                        "custom_llm_provider": "openai",
                        "cache_hit": "False",
                        "user": "ada@example.com",
                    },
                    {"spend": 0.0, "startTime": "2026-09-28T00:00:00Z", "model": "gpt-4o", "cache_hit": "True"},
                ]
            ),
            Line(DAY, DAY + 1e-3, "openai", "gpt-4o", "88dc28d0f030c55e", 1, 20, 10, 123_000_000),
            id="LiteLLM's spend logs",
        ),
    ],
)
def test_an_export_is_read(tmp_path: Path, provider: str, text: str, wanted: Line) -> None:
    path = tmp_path / "export"
    path.write_text(text, encoding="utf-8")

    assert read(provider, [path]) == [wanted]


def test_several_pages_and_files_are_one(tmp_path: Path) -> None:
    one = {"input_tokens": 1, "output_tokens": 0, "num_model_requests": 1, "model": "a"}
    pages = [json.loads(bucket(one)), json.loads(bucket(one, start=DAY + 86_400, end=DAY + 2 * 86_400))]
    (tmp_path / "pages").write_text(json.dumps(pages))
    (tmp_path / "more").write_text(bucket(one))

    lines = read("openai", [tmp_path / "pages", tmp_path / "more"])

    assert len(lines) == 3
    assert period(lines) == (DAY, DAY + 2 * 86_400)


def test_a_page_that_says_there_are_more_is_enough_when_they_are_there(tmp_path: Path) -> None:
    one = {"input_tokens": 1, "output_tokens": 0, "num_model_requests": 1, "model": "a"}
    (tmp_path / "1").write_text(bucket(one).replace('"has_more": false', '"has_more": true'))
    (tmp_path / "2").write_text(bucket(one, start=DAY + 86_400, end=DAY + 2 * 86_400))

    assert len(read("openai", [tmp_path / "2", tmp_path / "1"])) == 2


def test_the_same_file_twice_does_not_count_twice(tmp_path: Path) -> None:
    for name in ("costs.json", "costs (1).json"):
        (tmp_path / name).write_text(bucket({"amount": {"value": 1, "currency": "usd"}}))

    with pytest.raises(InputError, match=r"costs \(1\).json: the same as .*costs.json: it would count twice"):
        read("openai", [tmp_path / "costs.json", tmp_path / "costs (1).json"])


@pytest.mark.parametrize(
    ("hours", "since"),
    [
        pytest.param(0, DAY, id="days of UTC"),
        pytest.param(22, DAY + 22 * 3600, id="days of Berlin in summer"),
        pytest.param(7, DAY + 7 * 3600, id="days of Los Angeles in summer"),
        pytest.param(18.25, DAY + 18.25 * 3600, id="days of Kathmandu"),
    ],
)
def test_days_of_another_time_zone_begin_when_they_begin(hours: float, since: float) -> None:
    start = DAY + hours * 3600
    lines = [Line(start + n * 86_400, start + (n + 1) * 86_400, "openai", "a", cost=1) for n in range(3)]

    assert period(lines) == (since, since + 3 * 86_400)


def test_minutes_and_calls_lie_in_days_of_utc() -> None:
    lines = [Line(DAY + 7_260, DAY + 7_320, "openai", "a"), Line(DAY + 90_000, DAY + 90_060, "openai", "a")]

    assert period(lines) == (DAY, DAY + 2 * 86_400)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "the file is empty", id="an empty file"),
        pytest.param("\n \n", "the file is empty", id="a file of blanks"),
        pytest.param(bucket(), "nothing was billed", id="no calls, JSON"),
        pytest.param("{", "not an export of openai", id="cut off"),
        pytest.param("a,b\n1,2\n", "no export of openai that is known: a, b", id="another table"),
        pytest.param(bucket({"amount": {"value": 1, "currency": "eur"}}), "the ledger is in USD", id="euros"),
        pytest.param(bucket({"amount": {"value": "NaN", "currency": "usd"}}), "no amount", id="not a number"),
        pytest.param(bucket({"input_tokens": -1, "num_model_requests": 1}), "no count", id="negative"),
        pytest.param(
            bucket({"input_tokens": "1.234", "num_model_requests": 1}), "no count", id="1,234 as Germans write it"
        ),
        pytest.param(
            "<!DOCTYPE html>\n", "no export of openai that is known: <!DOCTYPE html>", id="a page to sign in"
        ),
        pytest.param("[1, 2]", "not an export of openai", id="a list of numbers"),
        pytest.param(
            bucket({"uncached_input_tokens": 1, "model": "claude-opus-4-5"}),
            "an export of anthropic, not of openai: --provider anthropic",
            id="another provider's",
        ),
        pytest.param(
            json.dumps([{"startTime": "2026-09-28T00:00:00Z", "spend": 0.1, "model": "gpt-4o"}]),
            "an export of litellm, not of openai: --provider litellm",
            id="the gateway's",
        ),
        pytest.param(
            '{"error": {"message": "Missing scopes: api.usage.read", "code": null}}',
            "the provider's answer is an error: Missing scopes: api.usage.read",
            id="an error that was saved",
        ),
        pytest.param(
            "start_time;end_time;amount_value;amount_currency\n1790553600;1790640000;1.234,50;usd\n",
            "parted by ';': give the file as it was downloaded",
            id="saved by a spreadsheet",
        ),
        pytest.param(
            bucket({"input_tokens": 1, "num_model_requests": 1}).replace(
                '"has_more": false, "next_page": null', '"has_more": true, "next_page": "page_2"'
            ),
            "there are more pages \\(has_more\\): fetch them with page=page_2",
            id="the first page only",
        ),
        pytest.param(
            "start_time,end_time,start_time_iso,end_time_iso\n1,2,x,y\n", "nothing was billed", id="no calls"
        ),
        pytest.param(
            '{"data": [{"start_time": 1, "end_time": 2, "results": '
            '[{"amount": {"value": 1e308, "currency": "usd"}}]}]}',
            "no amount: '1e\\+308'",
            id="more than there is",
        ),
        pytest.param('[{"startTime": ' + "[" * 100_000, "not an export of openai", id="nested without an end"),
        pytest.param(
            '{"data": [{"start_time": 1e300, "end_time": 1e300, "results": []}]}', "no time: '1e\\+300'", id="no time"
        ),
    ],
)
def test_what_is_no_export_says_so(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "export"
    path.write_text(text)

    with pytest.raises(InputError, match=said):
        read("openai", [path])
