// OpenAI's client for Node: chat, streams, tools, structured output, responses.
"use strict";

const { OpenAI } = require("openai");
const { ANSWER, CALLED, PROMPT, SCHEMA, check, equal, run } = require("./checks.cjs");

const ASKED = [{ role: "user", content: PROMPT }];
const TOOLS = ["now", "tomorrow"].map((name) => ({
  type: "function",
  function: { name, description: `Weather ${name}`, parameters: SCHEMA },
}));

async function chats(client, model) {
  const answer = await client.chat.completions.create({ model, messages: ASKED, max_completion_tokens: 200 });
  equal("chat: text", answer.choices[0].message.content, ANSWER);
  check("chat: usage", answer.usage.total_tokens > 0, answer.usage);
  const stream = client.chat.completions.stream({ model, messages: ASKED });
  equal("chat: streamed", await stream.finalContent(), ANSWER);
  const options = { include_usage: true };
  const counted = client.chat.completions.stream({ model, messages: ASKED, stream_options: options });
  check("chat: usage of a stream", (await counted.totalUsage()).total_tokens > 0);
  const runner = client.chat.completions.runTools({
    model,
    messages: ASKED,
    tools: TOOLS.map((tool, at) => ({
      type: "function",
      function: { ...tool.function, parse: JSON.parse, function: () => ["sun", "rain"][at] },
    })),
  });
  equal("chat: the tools run and their results arrive", await runner.finalContent(), "The tools answered: sun; rain");
  const format = { type: "json_schema", json_schema: { name: "trip", strict: true, schema: SCHEMA } };
  const trip = await client.chat.completions.parse({ model, messages: ASKED, response_format: format });
  equal("chat: structured output", trip.choices[0].message.parsed, CALLED);
}

async function responses(client, model) {
  const answer = await client.responses.create({ model, input: PROMPT, instructions: "Be brief.", store: false });
  equal("responses: text", answer.output_text, ANSWER);
  const tools = TOOLS.map((tool) => ({ type: "function", strict: true, ...tool.function }));
  const calling = client.responses.stream({ model, input: ASKED, tools });
  const called = (await calling.finalResponse()).output.filter((item) => item.type === "function_call");
  equal("responses: streamed calls", called.map((call) => JSON.parse(call.arguments)), [CALLED, CALLED]);
  const kinds = [];
  for await (const event of await client.responses.create({ model, input: PROMPT, stream: true })) {
    kinds.push(event.type);
  }
  equal("responses: the ends of a stream", [kinds[0], kinds.at(-1)], ["response.created", "response.completed"]);
}

run(async (options) => {
  const client = new OpenAI({ baseURL: `${options.base}/v1`, apiKey: options.key, maxRetries: 0, timeout: 60_000 });
  await chats(client, options.model);
  await responses(client, options.model);
});
