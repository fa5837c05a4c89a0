"""OpenAI's Python client: chat, streams, tools, structured output, embeddings, models, responses, errors."""

import json
import urllib.parse
import urllib.request

import openai
from checks import ANSWER, PROMPT, arguments, called, check, equal, schema
from pydantic import BaseModel

ASKED = [{"role": "user", "content": PROMPT}]
TOOLS = [
    {"type": "function", "function": {"name": name, "description": f"Weather {name}", "parameters": schema()}}
    for name in ("now", "tomorrow")
]


class Trip(BaseModel):
    """A structured answer."""

    city: str
    days: int
    stops: list[str]


def chat(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=ASKED, max_completion_tokens=200)
    equal("chat: text", answer.choices[0].message.content, ANSWER)
    equal("chat: finish", answer.choices[0].finish_reason, "stop")
    equal("chat: object", answer.object, "chat.completion")
    usage = answer.usage
    check("chat: usage", usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage)
    equal("chat: usage adds up", usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    short = client.chat.completions.create(model=model, messages=ASKED, max_completion_tokens=2)
    equal("chat: the limit of tokens ends it", short.choices[0].finish_reason, "length")
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    if not model.startswith("llama"):
        seen = client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
        text = seen.choices[0].message.content
        equal("chat: an image arrives", text, "You said: What is this? (with 1 images)")


def stream(client: openai.OpenAI, model: str) -> None:
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=model, messages=ASKED, stream=True, stream_options=options)
    )
    choices = [choice for chunk in chunks for choice in chunk.choices]
    equal("stream: text", "".join(choice.delta.content or "" for choice in choices), ANSWER)
    check("stream: more than one piece", sum(bool(choice.delta.content) for choice in choices) > 3, chunks)
    equal("stream: role first", choices[0].delta.role, "assistant")
    finishes = [choice.finish_reason for choice in choices if choice.finish_reason]
    equal("stream: one finish", finishes, ["stop"])
    equal("stream: one id", len({chunk.id for chunk in chunks}), 1)
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    check("stream: usage once, in the last chunk", len(usages) == 1 and chunks[-1].usage is not None, usages)
    plain = list(client.chat.completions.create(model=model, messages=ASKED, stream=True))
    check("stream: no usage unless asked for", all(chunk.usage is None for chunk in plain), plain[-1])


def tools(client: openai.OpenAI, model: str) -> None:
    first = client.chat.completions.create(model=model, messages=ASKED, tools=TOOLS)
    message = first.choices[0].message
    equal("tools: finish", first.choices[0].finish_reason, "tool_calls")
    equal("tools: both at once", [call.function.name for call in message.tool_calls], ["now", "tomorrow"])
    equal("tools: ids differ", len({call.id for call in message.tool_calls}), 2)
    for call in message.tool_calls:
        called(f"tools: arguments of {call.function.name}", call.function.arguments)
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": text}
        for call, text in zip(message.tool_calls, ["sun", "rain"], strict=True)
    ]
    turns = [*ASKED, message.model_dump(exclude_none=True), *results]
    last = client.chat.completions.create(model=model, messages=turns, tools=TOOLS)
    equal("tools: results arrive", last.choices[0].message.content, "The tools answered: sun; rain")
    calls: dict[int, dict[str, str]] = {}
    for chunk in client.chat.completions.create(model=model, messages=ASKED, tools=TOOLS, stream=True):
        for delta in (delta for choice in chunk.choices for delta in choice.delta.tool_calls or []):
            call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
            call["id"] += delta.id or ""
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""
    equal("tools: both in a stream", [calls[at]["name"] for at in sorted(calls)], ["now", "tomorrow"])
    for call in calls.values():
        called(f"tools: streamed arguments of {call['name']}", call["arguments"])


def structured(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=ASKED, response_format=Trip)
    trip = answer.choices[0].message.parsed
    equal("structured output: parsed", trip, Trip(city="city", days=7, stops=["stops"]))


def embeddings(client: openai.OpenAI, model: str) -> None:
    answer = client.embeddings.create(model=model, input=["Elbe", "Oder", "Elbe"])
    first, second, third = (row.embedding for row in answer.data)
    equal("embeddings: in order", [row.index for row in answer.data], [0, 1, 2])
    check("embeddings: by text", first == third and first != second)
    check("embeddings: unit length", abs(sum(value * value for value in first) - 1) < 1e-3)
    check("embeddings: usage", answer.usage.prompt_tokens > 0, answer.usage)


def models(client: openai.OpenAI, model: str, is_retired: bool) -> None:
    names = [offered.id for offered in client.models.list()]
    is_listed = any(name.split("/")[-1] == model for name in names)
    check("models: ours is listed unless it is retired", is_listed != is_retired, names)


def responses(client: openai.OpenAI, model: str) -> None:
    answer = client.responses.create(model=model, input=PROMPT, instructions="Be brief.")
    equal("responses: text", answer.output_text, ANSWER)
    equal("responses: status", answer.status, "completed")
    check("responses: usage", answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage)
    events = list(client.responses.create(model=model, input=PROMPT, stream=True))
    equal("responses: stream begins", events[0].type, "response.created")
    equal("responses: stream ends", events[-1].type, "response.completed")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    equal("responses: streamed text", "".join(deltas), ANSWER)
    equal("responses: the whole at the end", events[-1].response.output_text, ANSWER)
    numbers = [event.sequence_number for event in events]
    equal("responses: events in order", numbers, sorted(set(numbers)))
    flat = [{"type": "function", "strict": True, **tool["function"]} for tool in TOOLS]
    made = client.responses.create(model=model, input=PROMPT, tools=flat).output
    calls = [item for item in made if item.type == "function_call"]
    equal("responses: tools", [call.name for call in calls], ["now", "tomorrow"])
    called("responses: arguments", calls[0].arguments)


def errors(client: openai.OpenAI, model: str, budgets: str | None, run: str) -> None:
    try:
        client.chat.completions.create(model="no-such-model", messages=ASKED)
    except openai.NotFoundError as error:
        check("errors: an unknown model is NotFoundError", "no-such-model" in str(error), str(error))
    else:
        check("errors: an unknown model is refused", False)
    if budgets is None:
        return
    poor = f"{run}-poor"
    query = urllib.parse.urlencode({"run_id": poor, "budget_usd": "0.000001"})
    request = urllib.request.Request(f"{budgets}/budget?{query}", method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        equal("errors: a budget is set", json.load(answer)["run_id"], poor)
    for streams in (False, True):
        try:
            headers = {"x-pas-run-id": poor}
            client.chat.completions.create(model=model, messages=ASKED, stream=streams, extra_headers=headers)
        except openai.RateLimitError as error:
            equal(f"errors: a used-up budget is RateLimitError (stream: {streams})", error.status_code, 429)
        else:
            check("errors: a used-up budget is refused", False)


def main() -> None:
    args = arguments(
        __doc__,
        embedding_model="the model to ask for embeddings; none: no embeddings",
        budgets="base URL of the gateway, to set a budget on; none: no budgets",
        responses="yes: the server has the responses API",
        retired="yes: the vendor has shut the model down",
    )
    client = openai.OpenAI(
        base_url=args.base_url,
        api_key=args.key,
        max_retries=0,
        timeout=60,
        default_headers={"x-pas-run-id": args.run_id},
    )
    chat(client, args.model)
    stream(client, args.model)
    tools(client, args.model)
    structured(client, args.model)
    models(client, args.model, bool(args.retired))
    if args.embedding_model:
        embeddings(client, args.embedding_model)
    if args.responses:
        responses(client, args.model)
    errors(client, args.model, args.budgets, args.run_id)


if __name__ == "__main__":
    main()
