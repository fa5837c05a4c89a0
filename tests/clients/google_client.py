"""Google's Python client (google-genai): text, streams, tools with their signatures, schemas, counts, errors."""

from checks import ANSWER, PROMPT, arguments, called, check, equal, schema
from google import genai
from google.genai import errors, types

LIMIT = 1000
DECLARED = [
    types.FunctionDeclaration(name=name, description=f"Weather {name}", parameters_json_schema=schema())
    for name in ("now", "tomorrow")
]
TOOLS = [types.Tool(function_declarations=DECLARED)]


def config(**more: object) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(max_output_tokens=LIMIT, **more)


def texts(client: genai.Client, model: str) -> None:
    answer = client.models.generate_content(
        model=model, contents=PROMPT, config=config(system_instruction="Be brief.")
    )
    equal("text: answer", answer.text, ANSWER)
    equal("text: reason", answer.candidates[0].finish_reason, types.FinishReason.STOP)
    used = answer.usage_metadata
    check("text: usage", used.prompt_token_count > 0 and used.candidates_token_count > 0, used)
    short = types.GenerateContentConfig(max_output_tokens=2)
    cut = client.models.generate_content(model=model, contents=PROMPT, config=short)
    equal("text: the limit of tokens ends it", cut.candidates[0].finish_reason, types.FinishReason.MAX_TOKENS)
    chunks = list(client.models.generate_content_stream(model=model, contents=PROMPT, config=config()))
    equal("stream: text", "".join(chunk.text or "" for chunk in chunks), ANSWER)
    check("stream: more than one piece", len(chunks) > 3, len(chunks))
    check("stream: usage at the end", chunks[-1].usage_metadata.total_token_count > 0, chunks[-1])
    equal("stream: reason", chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP)


def chats(client: genai.Client, model: str) -> None:
    chat = client.chats.create(model=model, config=config())
    equal("chat: first turn", chat.send_message(PROMPT).text, ANSWER)
    again = "".join(chunk.text or "" for chunk in chat.send_message_stream("again"))
    equal("chat: second turn, streamed", again, "You said: again")
    roles = [turn.role for turn in chat.get_history(curated=True)]
    check("chat: history", roles[:3] == ["user", "model", "user"] and roles[-1] == "model", roles)


def tools(client: genai.Client, model: str, signed: bool) -> None:
    asked = types.Content(role="user", parts=[types.Part(text=PROMPT)])
    for name, answers in (
        ("tools", [client.models.generate_content(model=model, contents=[asked], config=config(tools=TOOLS))]),
        (
            "streamed tools",
            list(client.models.generate_content_stream(model=model, contents=[asked], config=config(tools=TOOLS))),
        ),
    ):
        parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
        calls = [part for part in parts if part.function_call]
        equal(f"{name}: both", [part.function_call.name for part in calls], ["now", "tomorrow"])
        for part in calls:
            called(f"{name}: arguments of {part.function_call.name}", part.function_call.args)
        if signed:
            equal(f"{name}: the thought is signed", calls[0].thought_signature, b"signed")
        results = [
            types.Part.from_function_response(name=part.function_call.name, response={"result": text})
            for part, text in zip(calls, ["sun", "rain"], strict=True)
        ]
        # The test server, like Gemini 3, refuses calls that come back without their signature.
        turns = [asked, types.Content(role="model", parts=calls), types.Content(role="user", parts=results)]
        last = client.models.generate_content(model=model, contents=turns, config=config(tools=TOOLS))
        check(f"{name}: results arrive", "sun" in last.text and "rain" in last.text, last.text)


def runs_functions(client: genai.Client, model: str) -> None:
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"sun in {city}"

    answer = client.models.generate_content(model=model, contents=PROMPT, config=config(tools=[weather]))
    check("functions run by the client", "sun in city" in answer.text, answer.text)


def schemas(client: genai.Client, model: str) -> None:
    wanted = config(response_mime_type="application/json", response_json_schema=schema())
    answer = client.models.generate_content(model=model, contents=PROMPT, config=wanted)
    called("schema: answer", answer.text)


def others(client: genai.Client, model: str) -> None:
    count = client.models.count_tokens(model=model, contents=PROMPT).total_tokens
    check("count_tokens: counts", count > 5, count)
    names = [listed.name for listed in client.models.list()]
    check("models: listed", any(name.endswith(model) for name in names), names[:5])
    equal("models: one", client.models.get(model=model).name, f"models/{model}")
    try:
        client.models.generate_content(model="no-such-model", contents=PROMPT)
    except errors.ClientError as error:
        equal("errors: an unknown model", (error.code, error.status), (404, "NOT_FOUND"))
    else:
        check("errors: an unknown model is refused", False)


def main() -> None:
    args = arguments(__doc__, signed="whether the model signs its thoughts")
    client = genai.Client(
        api_key=args.key,
        http_options=types.HttpOptions(
            base_url=args.base_url, timeout=60_000, headers={"x-pas-run-id": args.run_id}
        ),
    )
    texts(client, args.model)
    chats(client, args.model)
    tools(client, args.model, args.signed == "yes")
    runs_functions(client, args.model)
    schemas(client, args.model)
    others(client, args.model)


if __name__ == "__main__":
    main()
