"""Ollama's Python client: chat, generate, streams, list, embeddings, errors."""

import ollama
from checks import ANSWER, PROMPT, arguments, check, equal

ASKED = [{"role": "user", "content": PROMPT}]


def chat(client: ollama.Client, model: str) -> None:
    answer = client.chat(model=model, messages=ASKED)
    equal("chat: text", answer.message.content, ANSWER)
    equal("chat: end", (answer.done, answer.done_reason), (True, "stop"))
    check("chat: counts", answer.prompt_eval_count > 0 and answer.eval_count > 0, answer)
    parts = list(client.chat(model=model, messages=ASKED, stream=True))
    equal("chat stream: text", "".join(part.message.content or "" for part in parts), ANSWER)
    check("chat stream: more than one piece", len(parts) > 3, parts)
    equal("chat stream: one end", [part.done for part in parts if part.done], [True])
    check("chat stream: counts at the end", (parts[-1].eval_count or 0) > 0, parts[-1])


def generate(client: ollama.Client, model: str) -> None:
    options = {"temperature": 0, "num_predict": 200, "seed": 1}
    answer = client.generate(model=model, prompt=PROMPT, system="Be brief.", options=options)
    equal("generate: text", answer.response, ANSWER)
    equal("generate: end", answer.done, True)
    parts = list(client.generate(model=model, prompt=PROMPT, stream=True))
    equal("generate stream: text", "".join(part.response or "" for part in parts), ANSWER)
    equal("generate stream: end", (parts[-1].done, parts[-1].done_reason), (True, "stop"))


def models(client: ollama.Client, model: str) -> None:
    names = [offered.model for offered in client.list().models]
    check("list: ours is there", model in names, names)


def embed(client: ollama.Client, model: str) -> None:
    first, second, third = client.embed(model=model, input=["Elbe", "Oder", "Elbe"]).embeddings
    check("embed: by text", first == third and first != second)
    check("embed: numbers", len(first) > 1 and all(isinstance(value, float) for value in first))


def errors(client: ollama.Client) -> None:
    try:
        client.chat(model="no-such-model", messages=ASKED)
    except ollama.ResponseError as error:
        equal("errors: an unknown model is a 404", error.status_code, 404)
    else:
        check("errors: an unknown model is refused", False)


def main() -> None:
    args = arguments(__doc__)
    client = ollama.Client(host=args.base_url, timeout=60, headers={"x-pas-run-id": args.run_id})
    chat(client, args.model)
    generate(client, args.model)
    models(client, args.model)
    embed(client, args.model)
    errors(client)


if __name__ == "__main__":
    main()
