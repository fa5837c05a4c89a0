"""Anthropic's Python client: messages, streams, tools, counts of tokens, errors."""

import anthropic
from checks import ANSWER, PROMPT, arguments, called, check, equal, schema

ASKED = [{"role": "user", "content": PROMPT}]
TOOLS = [
    {"name": name, "description": f"Weather {name}", "input_schema": schema()} for name in ("now", "tomorrow")
]
LIMIT = 1000


def messages(client: anthropic.Anthropic, model: str) -> None:
    answer = client.messages.create(model=model, max_tokens=LIMIT, messages=ASKED, system="Be brief.")
    equal("messages: blocks", [block.type for block in answer.content], ["text"])
    equal("messages: text", answer.content[0].text, ANSWER)
    equal("messages: stop reason", answer.stop_reason, "end_turn")
    equal("messages: role", (answer.type, answer.role), ("message", "assistant"))
    check("messages: usage", answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage)
    short = client.messages.create(model=model, max_tokens=2, messages=ASKED)
    equal("messages: the limit of tokens ends it", short.stop_reason, "max_tokens")


def stream(client: anthropic.Anthropic, model: str) -> None:
    events = list(client.messages.create(model=model, max_tokens=LIMIT, messages=ASKED, stream=True))
    kinds = [event.type for event in events]
    equal("stream: begins", kinds[:2], ["message_start", "content_block_start"])
    equal("stream: ends", kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    equal("stream: text", "".join(deltas), ANSWER)
    check("stream: more than one piece", len(deltas) > 3, deltas)
    with client.messages.stream(model=model, max_tokens=LIMIT, messages=ASKED) as helper:
        equal("stream helper: text", "".join(helper.text_stream), ANSWER)
        final = helper.get_final_message()
    equal("stream helper: stop reason", final.stop_reason, "end_turn")
    check("stream helper: usage", final.usage.output_tokens > 1, final.usage)


def tools(client: anthropic.Anthropic, model: str) -> None:
    first = client.messages.create(model=model, max_tokens=LIMIT, messages=ASKED, tools=TOOLS)
    uses = [block for block in first.content if block.type == "tool_use"]
    equal("tools: stop reason", first.stop_reason, "tool_use")
    equal("tools: both at once", [use.name for use in uses], ["now", "tomorrow"])
    equal("tools: ids differ", len({use.id for use in uses}), 2)
    for use in uses:
        called(f"tools: input of {use.name}", use.input)
    results = [
        {"type": "tool_result", "tool_use_id": use.id, "content": text}
        for use, text in zip(uses, ["sun", "rain"], strict=True)
    ]
    turns = [
        *ASKED,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": results},
    ]
    last = client.messages.create(model=model, max_tokens=LIMIT, messages=turns, tools=TOOLS)
    equal("tools: results arrive", last.content[0].text, "The tools answered: sun; rain")
    with client.messages.stream(model=model, max_tokens=LIMIT, messages=ASKED, tools=TOOLS) as helper:
        final = helper.get_final_message()
    streamed = [block for block in final.content if block.type == "tool_use"]
    equal("tools: both in a stream", [use.name for use in streamed], ["now", "tomorrow"])
    for use in streamed:
        called(f"tools: streamed input of {use.name}", use.input)


def tokens(client: anthropic.Anthropic, model: str) -> None:
    count = client.messages.count_tokens(model=model, messages=ASKED).input_tokens
    more = client.messages.count_tokens(model=model, messages=ASKED, tools=TOOLS).input_tokens
    check("count_tokens: counts", 0 < count < more, (count, more))


def errors(client: anthropic.Anthropic) -> None:
    try:
        client.messages.create(model="no-such-model", max_tokens=LIMIT, messages=ASKED)
    except anthropic.NotFoundError as error:
        equal("errors: an unknown model is NotFoundError", error.body["error"]["type"], "not_found_error")
    else:
        check("errors: an unknown model is refused", False)


def main() -> None:
    args = arguments(__doc__)
    client = anthropic.Anthropic(
        base_url=args.base_url,
        api_key=args.key,
        max_retries=0,
        timeout=60,
        default_headers={"x-pas-run-id": args.run_id},
    )
    messages(client, args.model)
    stream(client, args.model)
    tools(client, args.model)
    tokens(client, args.model)
    errors(client)


if __name__ == "__main__":
    main()
